// The package as its users get it: its files, and that it can be imported, required and compiled against.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root } from './support/sources.js'
import { packed } from './support/packed.js'

const user = packed(['fastify', '@types/node'])
t.teardown(() => user.remove())

const TYPESCRIPTS = ['typescript', 'typescript-7']
const compiler = (name: string) => join(root, 'node_modules', name, 'bin', 'tsc')

/** The folders of the packages that this one brings with it, without those that Fastify brings anyway. */
function ownPackages ({ dependencies }: { readonly dependencies: Record<string, string> }): string[] {
  const { dependencies: fastifys } = JSON.parse(readFileSync(join(root, 'node_modules', 'fastify', 'package.json'), 'utf8')) as
    { dependencies: Record<string, string> }
  return Object.keys(dependencies).filter((name) => !(name in fastifys)).map((name) => join(root, 'node_modules', name))
}

/** The bytes of all files in a folder, without source maps. */
function bytesIn (folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile() && !file.name.endsWith('.map'))
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
}

const USES = `
  const app = Fastify()
  await app.register(responseCache, { backend: 'memory' })
  let calls = 0
  app.get('/', { config: { cache: { ttl: '1m' } } }, async () => { calls++; return { calls } })
  for (let request = 0; request < 3; request++) await app.inject('/')
  await app.close()
  console.log(JSON.stringify({ calls, type: typeof responseCache }))
`

t.test('package: the package contains what users run and its types, and nothing else', async (t) => {
  const allowed =
    /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|docs\/[\w-]+\.(md|svg)|dist\/(plugin|(backends|registry|response|test\/kit)\/[\w/-]+)(\.js|\.d\.ts)|dist\/(?:plugin|test\/kit\/index)(?:\.cjs|\.d\.cts)|dist\/benchmarks\/(core|cache-bench)\/[\w-]+\.js)$/
  t.same(user.files.filter((path) => !allowed.test(path)), [])
  for (const path of [
    'dist/plugin.js', 'dist/plugin.d.ts', 'dist/backends/memory.js', 'dist/test/kit/index.js', 'dist/test/kit/index.d.ts', 'LICENSE',
    'dist/plugin.cjs', 'dist/plugin.d.cts', 'dist/test/kit/index.cjs', 'dist/test/kit/index.d.cts'
  ]) {
    t.ok(user.files.includes(path), path)
  }
})

t.test('package: installing the package runs no script', async (t) => {
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) t.notOk(user.manifest.scripts[script], script)
})

t.test('package: the package can be imported, and caches', async (t) => {
  user.write('import.mjs', `import Fastify from 'fastify'\nimport responseCache, { builtIns, defineBackend, fromStringStore } from 'fastify-response-cache'\n${USES}
    console.log([builtIns, defineBackend, fromStringStore].map((named) => typeof named).join())`)
  const { exitCode, output } = user.node('import.mjs')
  t.match(output, /{"calls":1,"type":"function"}\nfunction,function,function\n/)
  t.equal(exitCode, 0)
})

t.test('package: require() returns the plugin function', async (t) => {
  user.write(
    'require.cjs', `const Fastify = require('fastify')\nconst responseCache = require('fastify-response-cache');\n(async () => {${USES}
    console.log(['builtIns', 'defineBackend', 'fromStringStore', 'default'].map((name) => typeof responseCache[name]).join())
  })()`)
  const { exitCode, output } = user.node('require.cjs')
  t.match(output, /{"calls":1,"type":"function"}\nfunction,function,function,function\n/)
  t.equal(exitCode, 0)
})

t.test('package: require() and import give the same instance', async (t) => {
  user.write('both.mjs', `import { createRequire } from 'node:module'
    import * as imported from 'fastify-response-cache'
    const required = createRequire(import.meta.url)('fastify-response-cache')
    console.log(required === imported.default, required.Registry === imported.Registry)`)
  t.equal(user.node('both.mjs').output, 'true true\n')
})

for (const [name, args] of [['publint', ['--strict']], ['@arethetypeswrong/cli', ['--no-emoji', '--no-color']]] as const) {
  t.test(`package: ${name} finds nothing wrong`, async (t) => {
    const { bin } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')) as { bin: Record<string, string> }
    const { exitCode, output } = user.node(join(root, 'node_modules', name, Object.values(bin)[0]!), ...args, user.tarball)
    t.equal(exitCode, 0, output)
  })
}

t.test('package: an application with the backend memory installs at most 1.6 MB besides Fastify, and nothing native', async (t) => {
  const packages = ownPackages(user.manifest)
  const bytes = packages.reduce((sum, folder) => sum + bytesIn(folder), bytesIn(join(user.folder, 'node_modules', user.manifest.name)))
  t.ok(bytes <= 1_600_000, `${bytes} bytes`)
  t.same(packages.filter((folder) => existsSync(join(folder, 'binding.gyp'))), [])
})

t.test('package: a backend whose driver is not installed names the package to install', async (t) => {
  user.write('missing.mjs', `import { builtIns } from 'fastify-response-cache'
    await builtIns().open({ backend: 'http', options: { baseUrl: 'http://127.0.0.1:9' } }).catch((err) => console.log(err.code, err.message, err.cause?.code))`)
  t.match(user.node('missing.mjs').output, /^CACHE_ERR_DEPENDENCY_MISSING .*npm install undici ERR_MODULE_NOT_FOUND\n$/)
})

t.test('package: cache-bench measures a backend of the user', async (t) => {
  user.write('mine.mjs', `import { defineBackend, fromStringStore } from 'fastify-response-cache'
    const kept = new Map()
    const store = { get: (key) => kept.get(key) ?? null, set (key, value) { kept.set(key, value) }, delete (key) { kept.delete(key) }, close () {} }
    export default defineBackend({ name: 'mine', create: () => fromStringStore(store) })`)
  const program = join('node_modules', user.manifest.name, user.manifest.bin['cache-bench']!)
  const tiny = ['--seconds', '0.5', '--entries', '64', '--sizes', '100']
  const { exitCode, output } = user.node(program, '--module', './mine.mjs', '--name', 'mine', '--backend', 'memory', ...tiny)
  t.match(output, /^mine: with 90 % hits/m)
  t.equal(exitCode, 0, output)
})

t.test('package: the test kit runs in any runner', async (t) => {
  user.write('kit.test.mjs', `import { test } from 'node:test'
    import { builtIns } from 'fastify-response-cache'
    import { conformance } from 'fastify-response-cache/test-kit'
    let at = Date.now()
    const subject = { now: () => at, pass: async (ms) => { at += ms }, open: () => builtIns().open({ backend: 'memory' }, { now: () => at }) }
    for (const c of conformance) test(c.name, () => c.run(subject))`)
  const { exitCode, output } = user.node('--test', 'kit.test.mjs')
  t.match(output, /pass [1-9]\d+\n/)
  t.equal(exitCode, 0, output)
})

t.test('package: files that are not exported can\'t be imported', async (t) => {
  for (const path of ['dist/plugin.js', 'registry/check.js', 'dist/registry/check.js']) {
    t.match(user.node('--input-type=module', '-e', `await import('fastify-response-cache/${path}')`).output,
      /ERR_PACKAGE_PATH_NOT_EXPORTED/)
  }
})

const CONSUMER = `
import Fastify from 'fastify'
import responseCache, { builtIns, defineBackend, fromStringStore, type BackendChoice, type CacheBackend } from 'fastify-response-cache'
import { conformance, type ConformanceSubject } from 'fastify-response-cache/test-kit'

interface DynamoOptions { table: string }
declare module 'fastify-response-cache' { interface BackendOptions { dynamo: DynamoOptions } }

class Dynamo implements CacheBackend {
  get () { return undefined }
  set () {}
  async delete () {}
  async close () {}
}
const dynamo = defineBackend<DynamoOptions>({ name: 'dynamo', create: ({ table }, { now }) => { table.length + now(); return new Dynamo() } })
const registry = builtIns().add('dynamo', async () => dynamo)
// @ts-expect-error its options are not those of memory
builtIns().add('memory', async () => dynamo)

const choices: BackendChoice[] = [
  { backend: 'memory', options: { maxBytes: 5 } },
  { backend: 'sqlite' },
  { backend: 'dynamo', options: { table: 'a' } },
  { backend: 'local', options: { folder: 'a' } },
  // @ts-expect-error an option of another backend
  { backend: 'memory', options: { table: 'a' } },
  // @ts-expect-error a required option is missing
  { backend: 'dynamo' },
  // @ts-expect-error an unknown name
  { backend: 'memroy' }
]

const app = Fastify()
await app.register(responseCache)
await app.register(responseCache, { backend: 'sqlite', options: { path: ':memory:' } })
await app.register(responseCache, { registry, backend: 'dynamo', options: { table: 'a' } })
// @ts-expect-error an unknown option
await app.register(responseCache, { bakend: 'memory' })
app.get('/', { config: { cache: { ttl: '1m', tags: ['a'] } } }, async (_request, reply) => { reply.cache({ store: false }); return {} })
// @ts-expect-error a ttl that is neither number nor text
app.get('/wrong', { config: { cache: { ttl: true } } }, async () => ({}))
// @ts-expect-error a ttl with a word for its unit
app.get('/minute', { config: { cache: { ttl: '1 minute' } } }, async () => ({}))
await app.cache.invalidate('a')

const subject: ConformanceSubject = { now: Date.now, pass: async () => {}, open: async () => fromStringStore({ get: () => null, set () {}, delete () {}, close () {} }) }
export const outcomes: Array<Promise<'passed' | 'skipped'>> = conformance.map((c) => c.run(subject))
export { choices }
`

// What each of the two files declares, the other knows, because both add to the same interface.
const COMMONJS_CONSUMER = `
import fastify = require('fastify')
import responseCache = require('fastify-response-cache')

declare module 'fastify-response-cache' { interface BackendOptions { local: { folder: string } } }

const app = fastify()
app.register(responseCache, { backend: 'memory', options: { maxBytes: 5 } })
app.register(responseCache, { backend: 'local', options: { folder: 'a' } })
app.register(responseCache, { backend: 'dynamo', options: { table: 'a' } })
// @ts-expect-error an unknown name
app.register(responseCache, { backend: 'memroy' })
// @ts-expect-error a ttl with a word for its unit
app.register(responseCache, { defaults: { ttl: '1 minute' } })
`

user.write('package.json', '{ "type": "module" }')
user.write('consumer.ts', CONSUMER)
user.write('consumer.cts', COMMONJS_CONSUMER)
user.write('tsconfig.json', JSON.stringify({
  compilerOptions: {
    target: 'es2023',
    module: 'nodenext',
    moduleResolution: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    types: ['node'],
    noEmit: true,
    skipLibCheck: false
  },
  files: ['consumer.ts', 'consumer.cts']
}))

for (const name of TYPESCRIPTS) {
  t.test(`package: programs compile against the package's types with ${name}, and programs with mistakes don't`, async (t) => {
    const { exitCode, output } = user.node(compiler(name), '-p', '.')
    t.equal(output, '')
    t.equal(exitCode, 0)
  })
}
