// The rooms: who imports whom, how long files and functions are, and what no room does. Read from the sources.
import t from 'tap'
import {
  circles, longFiles, longFunctions, printers, SOURCE_ROOMS, strayTimers, withoutFirstComment, wrongImports
} from './support/architecture.js'
import { source, sourcesIn, type Source } from './support/sources.js'

const { name, dependencies } = JSON.parse(source('package.json').text) as { name: string, dependencies: Record<string, string> }
const rules = { name, dependencies: Object.keys(dependencies) }

const shipped = [source('plugin.ts'), ...sourcesIn(SOURCE_ROOMS)]
const others = sourcesIn(['test', 'benchmarks', 'examples'])
const scripts = sourcesIn(['scripts'], ['.js'])
const all = [...shipped, ...others, ...scripts]
const withoutTests = all.filter(({ path }) => !path.endsWith('.test.ts'))

const breaks = (check: (files: readonly Source[]) => string[], files: Record<string, string>) =>
  check(Object.entries(files).map(([path, text]) => ({ path, text })))

t.test('architecture: imports go down and never up', async (t) => {
  t.same(wrongImports([...shipped, ...others], rules), [])
})

t.test('architecture: no files import each other in a circle, types included', async (t) => {
  t.same(circles(shipped), [])
  const tree = {
    'a.ts': "import './b.js'",
    'b.ts': "import type { C } from './c.js'",
    'c.ts': "export { a } from './a.js'\nimport './d.js'",
    'd.ts': '',
    'e.ts': "import './e.js'"
  }
  const sources = Object.entries(tree).map(([path, text]) => ({ path, text }))
  t.same(circles(sources), [['a.ts', 'b.ts', 'c.ts'], ['e.ts']])
})

t.test('architecture: no file has more than 320 lines', async (t) => {
  t.same(longFiles(all), [])
})

t.test('architecture: no function has more than 40 lines', async (t) => {
  t.same(longFunctions(withoutTests), [])
})

t.test('architecture: the first line of every file says what it contains', async (t) => {
  t.same(withoutFirstComment(all), [])
})

t.test('architecture: only the background tasks use a repeating timer', async (t) => {
  t.same(strayTimers(shipped), [])
})

t.test('architecture: code that users run does not print', async (t) => {
  t.same(printers(shipped), [])
})

t.test('architecture: an import that goes up or sideways is reported', async (t) => {
  const wrong: ReadonlyArray<readonly [path: string, text: string]> = [
    ['registry/a.ts', "import { a } from '../response/a.js'"],
    ['registry/a.ts', "import type { A } from '../backends/memory.js'"],
    ['registry/a.ts', "export * from '../plugin.js'"],
    ['backends/redis.ts', "import { a } from './memory.js'"],
    ['backends/redis.ts', "import type { A } from './sqlite/options.js'"],
    ['backends/sqlite/a.ts', "import { a } from '../memory.js'"],
    ['backends/memory.ts', "import { a } from './index.js'"],
    ['backends/memory.ts', "import { a } from '../response/a.js'"],
    ['backends/index.ts', "import memory from './memory.js'"],
    ['backends/index.ts', "export { a, type B } from './memory.js'"],
    ['response/a.ts', "import { builtIns } from '../backends/index.js'"],
    ['response/a.ts', "const a = import('../plugin.js')"],
    ['response/a.ts', "type A = import('../backends/memory.js').A"],
    ['response/http/a.ts', "import { a } from '../services.js'"],
    ['response/http/a.ts', "import type { A } from '../options/a.js'"],
    ['response/fill/a.ts', "import type { A } from '../route.js'"],
    ['response/route.ts', "import { a } from './new-room/a.js'"],
    ['plugin.ts', "import { a } from './backends/memory.js'"],
    ['plugin.ts', "const a = await import('./backends/sqlite.js')"],
    ['plugin.ts', "import { a } from './test/kit/index.js'"],
    ['test/kit/a.ts', "import { powersOf } from '../../registry/backend.js'"],
    ['test/kit/a.ts', "import type { A } from '../../backends/memory.js'"],
    ['test/kit/a.ts', "import { a } from '../support/clock.js'"],
    ['test/kit/a.ts', "import t from 'tap'"],
    ['benchmarks/a.ts', "import { a } from '../registry/check.js'"],
    ['examples/packages/a.ts', "import plugin from '../../plugin.js'"],
    ['backends/sqlite/a.ts', "import Database from 'better-sqlite3'"],
    ['backends/sqlite/a.ts', "import type { Database } from 'better-sqlite3'"],
    ['backends/sqlite/a.ts', "const a = require('better-sqlite3')"],
    ['backends/redis.ts', "import redis from '@fastify/redis'"],
    ['response/a.ts', "import fastify from 'fastify'"],
    ['response/a.ts', "import fc from 'fast-check'"],
    ['response/a.ts', "import { readFileSync } from 'fs'"],
    ['response/a.ts', `import { a } from '${name}'`]
  ]
  for (const [path, text] of wrong) t.equal(breaks((files) => wrongImports(files, rules), { [path]: text }).length, 1, `${path}: ${text}`)
})

t.test('architecture: an import that goes down is accepted', async (t) => {
  const right: Record<string, string> = {
    'registry/a.ts': "import createError from '@fastify/error'\nimport { a } from './b.js'\nimport { b } from 'node:util'",
    'backends/index.ts': "import type { A } from './memory.js'\nimport { type B } from './sqlite.js'\nconst a = import('./memory.js')\nimport { R } from '../registry/registry.js'",
    'backends/sqlite.ts': "import { a } from './sqlite/a.js'\nconst driver = await import('better-sqlite3')",
    'backends/sqlite/a.ts': "import { a } from '../sqlite.js'\nimport { b } from '../../registry/check.js'",
    'response/a.ts':
      "import type { FastifyReply } from 'fastify'\nimport { a } from '../registry/check.js'\nimport { LruMap } from 'toad-cache'",
    'plugin.ts': "import { builtIns } from './backends/index.js'\nimport { a } from './response/a.js'",
    'test/kit/a.ts': "import type { A } from '../../registry/backend.js'\nimport assert from 'node:assert'",
    'test/a.test.ts': "import t from 'tap'\nimport Database from 'better-sqlite3'",
    'examples/packages/a.ts': `import plugin from '${name}'\nimport { a } from './b.js'\nimport fastify from 'fastify'`
  }
  t.same(breaks((files) => wrongImports(files, rules), right), [])
})

t.test('architecture: a long file, a long function, a missing first comment, a repeating timer and a print are reported', async (t) => {
  const lines = (count: number) => 'a()\n'.repeat(count)
  t.same(breaks(longFiles, { 'a.ts': lines(320), 'b.ts': lines(321) }), ['b.ts has 321 lines'])
  const functions = `class A {\n  short () {\n${lines(38)}  }\n  long () {\n${lines(39)}  }\n}\nconst arrow = () => {\n${lines(39)}}\n`
  t.same(breaks(longFunctions, { 'a.ts': functions }), ['a.ts: long has 41 lines', 'a.ts: the function in line 84 has 41 lines'])
  t.same(
    breaks(withoutFirstComment, { 'a.ts': 'import a\n// A file of its own.', 'b.ts': '// x', 'c.ts': '// A file of its own.\n' }).length, 2)
  t.same(
    breaks(strayTimers, { 'response/a.ts': '// setInterval\nsetTimeout(a)', 'response/b.ts': 'const timer = globalThis.setInterval(a)' }),
    ['response/b.ts uses setInterval'])
  t.same(breaks(printers, { 'a.ts': "const a = 'console'", 'b.ts': 'console.log(a)' }), ['b.ts uses console'])
})
