// A third party's package on the packed package: compiled, refused where it must be, found by its name, run through the kit.
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packed } from './support/packed.js'
import { root } from './support/sources.js'

const user = packed([
  'fastify', '@types/node', '@fastify/caching', '@fastify/type-provider-typebox', 'typebox', 'fastify-type-provider-zod', 'zod'
])
t.teardown(() => user.remove())
cpSync(join(root, 'test', 'outsider'), join(user.folder, 'outsider'), { recursive: true })

for (const name of ['typescript-7', 'typescript']) {
  t.test(`outsider: the package compiles with ${name}, and each of its deliberate mistakes is refused`, async (t) => {
    const { exitCode, output } = user.node(join(root, 'node_modules', name, 'bin', 'tsc'), '-p', 'outsider')
    t.equal(output, '')
    t.equal(exitCode, 0)
  })
}

// TypeScript 7 has no node10.
const MODES: ReadonlyArray<readonly [module: string, resolution: string, typescript: string]> = [
  ['commonjs', 'node10', 'typescript'], ['node16', 'node16', 'typescript'],
  ['node16', 'node16', 'typescript-7'], ['node18', 'node16', 'typescript-7'], ['nodenext', 'nodenext', 'typescript-7']
]

for (const [module, resolution, name] of MODES) {
  t.test(`outsider: an application in CommonJS compiles with ${name}, module ${module}, moduleResolution ${resolution}`, async (t) => {
    const { exitCode, output } = user.node(
      join(root, 'node_modules', name, 'bin', 'tsc'), '--noEmit', '--strict', '--target', 'es2023', '--module', module,
      '--moduleResolution', resolution, '--esModuleInterop', '--types', 'node', '--skipLibCheck',
      join('outsider', 'commonjs', 'application.ts'))
    t.equal(output, '')
    t.equal(exitCode, 0)
  })
}

for (const [kind, folder, file] of [['ESM', 'named', 'application.ts'], ['CommonJS', 'commonjs', 'named.ts']] as const) {
  t.test(`outsider: a cache with another name is typed by declaration, beside @fastify/caching, in ${kind}`, async (t) => {
    const { exitCode, output } = user.node(
      join(root, 'node_modules', 'typescript-7', 'bin', 'tsc'), '--noEmit', '--strict', '--target', 'es2023', '--module', 'nodenext',
      '--esModuleInterop', '--types', 'node', '--skipLibCheck', join('outsider', folder, file))
    t.equal(output, '')
    t.equal(exitCode, 0)
  })
}

t.test('outsider: the package\'s backend is registered by name, is loaded when it is opened, and caches', async (t) => {
  const { exitCode, output } = user.node(join('outsider', 'dist', 'application.js'), join(user.folder, 'cache.json'))
  t.match(output, new RegExp([
    '^memory .* json-file',
    'json-file clear',
    'fastify-response-cache; fwd=miss; stored',
    'fastify-response-cache; hit; ttl=\\d+',
    'fastify-response-cache; fwd=miss; stored',
    "CACHE_ERR_OPTION cache: 'json-file.path' must be a path, got \n$"
  ].join('\n')))
  t.equal(exitCode, 0)
})

t.test('outsider: the package\'s backend passes the kit in node:test, and cases for missing methods are skipped by name', async (t) => {
  const { exitCode, output } = user.node('--test', '--test-reporter=tap', join('outsider', 'dist', 'kit.js'))
  t.same(output.match(/^not ok .*$/mg), null)
  t.match(output, /^ok \d+ - kill: entries that a process set before it was killed are returned$/m)
  t.match(output, /^ok \d+ - keys: does not return the keys of deleted and expired entries # SKIP$/m)
  t.equal(exitCode, 0)
})
