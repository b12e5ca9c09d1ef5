// What the docs say is what the code does, and the other way round; what the docs show really runs.
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import vm from 'node:vm'
import t from 'tap'
import * as main from '../plugin.js'
import { POWERS } from '../registry/backend.js'
import { parseDuration } from '../registry/check.js'
import { isCacheableStatus, MAX_TAG_CHARACTERS, MAX_TAGS } from '../response/options.js'
import { VARIABLES } from '../response/environment.js'
import { BYPASS_REASONS, CacheStatus, REFUSAL_REASONS } from '../response/status.js'
import { MAX_VARIANTS } from '../response/store.js'
import { MAX_VARY_FIELDS } from '../response/vary.js'
import { DOCUMENTED } from './support/documented.js'
import { codeIn, interfaceIn, runnable, tableBelow, type Row } from './support/docs.js'
import { root, source, sourcesIn } from './support/sources.js'

const README = source('README.md').text
const CONTRIBUTING = source('CONTRIBUTING.md').text
const PAGES = [source('README.md'), ...sourcesIn(['docs'], ['.md'])]
/** What the project says to its users, whatever page it stands on. */
const DOCS = PAGES.map(({ text }) => text).join('\n')

const namesOf = (rows: readonly Row[], column: string): string[] => rows.map((row) => codeIn(row[column]!)).sort()

/** The table of options: `fastify.cache` has one of methods before it. */
function optionsBelow (heading: string): Row[] {
  const rows = tableBelow(DOCS, heading)
  return 'option' in rows[0]! ? rows : tableBelow(DOCS.slice(DOCS.indexOf(heading)).replace(/^\| method [^]*?\n\n/m, ''), heading)
}

/** A default as it is written, as a value; durations, which are compared with milliseconds, as those. */
function valueOf (text: string, constant: unknown): unknown {
  const value: unknown = JSON.parse(JSON.stringify(vm.runInNewContext(`(${text})`)))
  return typeof constant === 'number' && typeof value === 'string' ? parseDuration(value) : value
}

for (const { heading, at, constants, others = {} } of DOCUMENTED) {
  t.test(`docs: every option below '${heading}' is the code's, with its default, and back`, async (t) => {
    const rows = optionsBelow(heading)
    const properties = new Map(at.flatMap(([path, name]) => [...interfaceIn(path, name)]))
    t.same(namesOf(rows, 'option'), [...properties.keys(), ...Object.keys(others)].sort(), 'the names')
    for (const row of rows) {
      const name = codeIn(row.option!)
      const given = codeIn(row.default!)
      const property = properties.get(name)
      const declared = property === undefined ? others[name] : property.default
      if (property?.isOptional === false) t.equal(given, 'required', name)
      else t.equal(['none', 'see below'].includes(given) ? 'none' : given, declared ?? 'none', `${name}: the docs and @default`)
      if (Object.hasOwn(constants, name)) t.same(valueOf(given, constants[name]), constants[name], `${name}: the docs and the constant`)
      else t.ok(['none', 'see below', 'required', 'builtIns()', 'a steady clock'].includes(given) || name in others, `${name}: ${given} is a constant in the code`)
    }
  })
}

t.test('docs: README shows every option of the plugin, of routes and of answers, at its default', async (t) => {
  const shown = runnable(README).get('options.mjs') ?? ''
  for (const heading of ['## Plugin options', '## Route options', '### The key', '### While a handler runs']) {
    for (const row of optionsBelow(heading)) {
      const value = codeIn(row.default!)
      const line = `${codeIn(row.option!)}: ${['none', 'see below', 'a steady clock'].includes(value) ? '' : value}`
      t.ok(shown.includes(line), `${heading}: ${line}`)
    }
  }
})

t.test('docs: the tables name the options that the checks know', async (t) => {
  const { default: Fastify } = await import('fastify')
  const refused = async (heading: string, options: object, config: object = {}) => {
    const app = Fastify()
    app.register(main.default, options as main.ResponseCacheOptions)
    app.register(async (scope) => { scope.get('/', { config }, async () => '') })
    const known = await app.ready().then(() => '', (err: Error) => /known are (.*), got/.exec(err.message)?.[1] ?? err.message)
    await app.close()
    t.same(known.split(', ').sort(), namesOf(optionsBelow(heading), 'option'), heading)
  }
  const unknown = { unheardOf: 1 }
  await refused('## Plugin options', unknown)
  await refused('## Route options', {}, { cache: unknown })
  await refused('### The key', {}, { cache: { key: unknown } })
  await refused('### memory', { backend: 'memory', options: unknown })
  await refused('### file', { backend: 'file', options: unknown })
  await refused('### sqlite', { backend: 'sqlite', options: unknown })
  await refused('### http', { backend: 'http', options: unknown })
  await refused('### tiered', { backend: 'tiered', options: unknown })
  await refused('### redis', { backend: 'redis', options: unknown })
})

t.test('docs: every built-in backend has its section, and back', async (t) => {
  const linked = [...tableBelow(README, '## Backends')].map((row) => /^\[`(\w+)`\]\(docs\/[\w-]+\.md#\1\)$/.exec(row.name!)?.[1])
  t.same(linked.sort(), main.builtIns().names().sort(), 'README links to each')
  for (const [, name] of source('docs/backends.md').text.matchAll(/^### (.*)$/gm)) t.ok(linked.includes(name), name!)
})

t.test('docs: every environment variable is the code\'s, and back', async (t) => {
  t.same(namesOf(tableBelow(DOCS, '## Configuration from the environment'), 'variable'), [...VARIABLES].sort())
})

t.test('docs: every reason code is the code\'s, and back', async (t) => {
  t.same(namesOf(tableBelow(DOCS, '### Requests that go past the cache'), 'reason'), [...BYPASS_REASONS].sort())
  t.same(namesOf(tableBelow(DOCS, '### Answers that are not stored'), 'reason'), [...REFUSAL_REASONS].sort())
})

t.test('docs: every error code is the code\'s, and back', async (t) => {
  t.same(namesOf(tableBelow(DOCS, '## Errors'), 'code'), Object.keys(main).filter((name) => name.startsWith('CACHE_ERR_')).sort())
})

t.test('docs: the values of Cache-Status are those that are sent', async (t) => {
  const status = new CacheStatus()
  const sent = [
    status.hit(57_900),
    status.forwarded('miss', { stored: true }),
    status.forwarded('miss', {}),
    status.collapsed(),
    status.forwarded('miss', { detail: 'set-cookie' }),
    status.forwarded('request', { stored: true }),
    status.bypass('credentials'),
    status.bypass('method')
  ]
  t.same(tableBelow(DOCS, '## Cache-Status').map((row) => codeIn(row.value!)), sent)
})

t.test('docs: every member of fastify.cache is the code\'s, and back', async (t) => {
  const { default: Fastify } = await import('fastify')
  const app = Fastify()
  await app.register(main.default)
  const members = [...Object.getOwnPropertyNames(Object.getPrototypeOf(app.cache)).filter((name) => name !== 'constructor'), 'backend']
  t.same(tableBelow(DOCS, '## `fastify.cache`').map((row) => codeIn(row.method!).replace(/\(.*/, '')).sort(), members.sort())
  t.same(Object.keys(app.cache.backend), ['name', 'powers'])
  const stats = Object.keys(await app.cache.stats())
  const said = tableBelow(DOCS, '## `fastify.cache`').find((row) => row.method === '`stats()`')?.['what it does'] ?? ''
  for (const name of stats.filter((name) => name !== 'routes')) t.ok(said.includes(`\`${name}\``), name)
  await app.close()
})

t.test('docs: numbers that the docs give are the code\'s', async (t) => {
  t.match(DOCS, `At most ${MAX_TAGS}, of at most ${MAX_TAG_CHARACTERS} characters`)
  t.match(DOCS, `at most ${MAX_VARIANTS} under one key`)
  t.match(DOCS, `names more than ${MAX_VARY_FIELDS} fields`)
  const unfit = Array.from({ length: 400 }, (_, index) => 200 + index).filter((status) => !isCacheableStatus(status))
  t.match(DOCS, `any final status other than ${unfit.slice(0, -1).join(', ')} and ${unfit.at(-1)}.`)
})

t.test('docs: CHANGELOG names every power', async (t) => {
  for (const power of POWERS) t.match(source('CHANGELOG.md').text, `\`${power}\``)
})

t.test('docs: the map in CONTRIBUTING names every file of the rooms, and no other', async (t) => {
  const named = [...CONTRIBUTING.matchAll(/^\| `((?:registry|response|backends)\/[\w./-]+\.ts|plugin\.ts)` \|/gm)].map(([, path]) => path!)
  t.same(named.sort(), ['plugin.ts', ...sourcesIn(['registry', 'response', 'backends']).map(({ path }) => path)].sort())
})

t.test('docs: links inside the project lead somewhere', async (t) => {
  for (const { path, text } of [...PAGES, source('CONTRIBUTING.md')]) {
    for (const [link, to, anchor] of text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)) {
      const target = to === '' ? path : posix.join(posix.dirname(path), to!)
      if (!t.ok(existsSync(join(root, target)), `${path}: ${link}`) || anchor === undefined) continue
      const anchors = [...source(target).text.matchAll(/^#+ (.*)$/gm)].map(([, title]) => title!.toLowerCase().replace(/[^\w -]/g, '').replaceAll(' ', '-'))
      t.ok(anchors.includes(anchor), `${path}: ${link}`)
    }
  }
})

// From here on the built package is used, by its own name, as a user has it.
if (!existsSync(join(root, 'dist', 'plugin.d.ts'))) t.bailout('there is no dist: run npm run build first')

mkdirSync(join(root, '.cache'), { recursive: true })
const folder = mkdtempSync(join(root, '.cache', 'docs-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

const ENVIRONMENT = { PATH: process.env.PATH }
const snippets = runnable(README + source('docs/extending.md').text)
const GUIDE = source('docs/guide.md').text
const guide = runnable(GUIDE)
/** What the programs in docs/guide.md print. */
const PRINTED: Readonly<Record<string, RegExp>> = {
  'robust.ts': /^answer \| fastify-response-cache; fwd=miss; detail=unavailable\nCACHE_ERR_BACKEND_FAILED\n.*get: \d.*\n$/,
  'managed.ts': /^value\nthe connection is closed\n$/,
  'validated.ts': /^cache: 'validated.timeoutMs' must be a positive integer, got 0\ncache: 'validated.maxEntries' must be a positive integer, got NaN\n$/
}

t.test('docs: all code that is marked to be run is run here', async (t) => {
  t.same([...snippets.keys()], ['server.mjs', 'options.mjs', 'own-backend.ts', 'kit.test.ts'])
  t.same([...guide.keys()], Object.keys(PRINTED))
})

t.test('docs: the quick start runs as pasted, and does what is said of it', async (t) => {
  const file = join(folder, 'server.mjs')
  writeFileSync(file, snippets.get('server.mjs')!.replace('port: 3000', 'port: 0'))
  const child = spawn(process.execPath, [file], { cwd: folder, env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve)
    child.once('close', () => reject(new Error('ended before it listened')))
  })
  const ask = async () => await fetch(`${url}/products/1`)
  const made = await ask()
  const { madeAt } = await made.json() as { madeAt: string }
  t.equal(made.headers.get('cache-status'), 'fastify-response-cache; fwd=miss; stored')
  const kept = await ask()
  t.match(kept.headers.get('cache-status'), /^fastify-response-cache; hit; ttl=\d+$/)
  t.ok(kept.headers.get('age'))
  t.same(await kept.json(), { id: '1', madeAt })
  t.same(await (await fetch(`${url}/products/1`, { method: 'POST' })).json(), { forgotten: 'products' })
  const anew = await ask()
  t.equal(anew.headers.get('cache-status'), 'fastify-response-cache; fwd=miss; stored')
  t.not((await anew.json() as { madeAt: string }).madeAt, madeAt)
  t.ok(existsSync(join(folder, 'cache.db')))
})

t.test('docs: all options at their defaults are taken', async (t) => {
  writeFileSync(join(folder, 'options.mjs'), snippets.get('options.mjs')!)
  const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'options.mjs')], { env: ENVIRONMENT })
  t.equal(stdout, 'fastify-response-cache; fwd=miss; stored\n')
})

t.test('docs: the TypeScript that the docs show compiles against the built package, and runs', async (t) => {
  for (const name of ['own-backend.ts', 'kit.test.ts']) writeFileSync(join(folder, name), snippets.get(name)!)
  for (const [name, code] of guide) writeFileSync(join(folder, name), code)
  // The name is typed with its options: what the types refuse, they must go on refusing.
  writeFileSync(join(folder, 'refused.ts'), `import './own-backend.js'\nimport type { BackendChoice } from 'fastify-response-cache'\n// @ts-expect-error
export const without: BackendChoice = { backend: 'tiny' }\n// @ts-expect-error\nexport const unknown: BackendChoice = { backend: 'unheard-of' }\n`)
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({
    extends: '../../tsconfig.json',
    compilerOptions: { outDir: '.', rootDir: '.', declaration: false, sourceMap: false, noEmitOnError: true },
    include: ['.']
  }))
  const run = promisify(execFile)
  const failed = await run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', folder], { env: ENVIRONMENT }).then(() => '', (err: { stdout: string }) => err.stdout)
  if (!t.equal(failed, '')) return
  const { stdout } = await run(process.execPath, [join(folder, 'own-backend.js')], { env: ENVIRONMENT })
  t.match(stdout, /^fastify-response-cache; fwd=miss; stored\nfastify-response-cache; hit; ttl=\d+\n$/)
  for (const [name, printed] of Object.entries(PRINTED)) {
    const { stdout } = await run(process.execPath, [join(folder, name.replace('.ts', '.js'))], { env: ENVIRONMENT })
    t.match(stdout, printed, name)
  }
  const kit = await run(process.execPath, ['--test-reporter=tap', join(folder, 'kit.test.js')], { env: ENVIRONMENT })
  t.match(kit.stdout, /^# fail 0$/m)
  t.match(kit.stdout, /^# pass [1-9]\d+$/m)
})
