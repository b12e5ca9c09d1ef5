// The docs say what the code does, and leave nothing out. docs-run.test.ts checks that their examples run.
import { existsSync } from 'node:fs'
import { join, posix } from 'node:path'
import vm from 'node:vm'
import t from 'tap'
import * as main from '../plugin.js'
import { POWERS } from '../registry/backend.js'
import { parseDuration } from '../registry/check.js'
import { MAX_TAG_CHARACTERS, MAX_TAGS } from '../response/options/invalidation-target.js'
import { VARIABLES } from '../response/options/environment.js'
import { isCacheableStatus } from '../response/http/storability.js'
import { CacheStatus } from '../response/observe/cache-status.js'
import type { SentOutcome } from '../response/observe/outcome.js'
import { BYPASS_REASONS, MISS_REASONS, REFUSAL_REASONS, type ForwardReason, type RefusalReason } from '../response/observe/reasons.js'
import { NEXT_STATES, type FillStateName } from '../response/fill/fill-state.js'
import { MAX_VARIANTS } from '../response/store/variant-lists.js'
import { MAX_VARY_FIELDS } from '../response/http/vary.js'
import { DOCUMENTED } from './support/documented.js'
import { RESPONSE_ROOMS } from './support/architecture.js'
import { codeIn, interfaceIn, tableBelow, type Row } from './support/docs.js'
import { blocksOf } from './support/page.js'
import { pages } from './support/pages.js'
import { root, source, sourcesIn } from './support/sources.js'

const README = source('README.md').text
const CONTRIBUTING = source('CONTRIBUTING.md').text
/** What the project tells its users, on all pages. */
const DOCS = pages.map(({ text }) => text).join('\n')

const namesOf = (rows: readonly Row[], column: string): string[] => rows.map((row) => codeIn(row[column]!)).sort()

/** The table of options. In the section of `fastify.cache` it comes after a table of methods. */
function optionsBelow (heading: string): Row[] {
  const rows = tableBelow(DOCS, heading)
  return 'option' in rows[0]! ? rows : tableBelow(DOCS.slice(DOCS.indexOf(heading)).replace(/^\| method [^]*?\n\n/m, ''), heading)
}

/** A written default as a value. Durations are converted to milliseconds if the constant is a number. */
function valueOf (text: string, constant: unknown): unknown {
  const value: unknown = JSON.parse(JSON.stringify(vm.runInNewContext(`(${text})`)))
  return typeof constant === 'number' && typeof value === 'string' ? parseDuration(value) : value
}

for (const { heading, at, constants, others = {} } of DOCUMENTED) {
  t.test(`docs: the options below '${heading}' are those of the code, with their defaults`, async (t) => {
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
      if (Object.hasOwn(constants, name)) {
        t.same(valueOf(given, constants[name]), constants[name], `${name}: the docs and the constant`)
      } else {
        t.ok(['none', 'see below', 'required', 'builtIns()', 'the system\'s clock'].includes(given) || name in others,
          `${name}: ${given} is a constant in the code`)
      }
    }
  })
}

t.test('docs: README shows every option of the plugin, of routes and of responses, at its default', async (t) => {
  const shown = blocksOf(source('README.md')).find(({ notes }) => notes.get('run') === 'options.mjs')?.code ?? ''
  for (const heading of ['## Plugin options', '## Route options', '### The key', '### While a handler runs']) {
    for (const row of optionsBelow(heading)) {
      const value = codeIn(row.default!)
      const line = `${codeIn(row.option!)}: ${['none', 'see below', 'the system\'s clock'].includes(value) ? '' : value}`
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
  await refused('### keyv', { backend: 'keyv', options: unknown })
  await refused('### memcached', { backend: 'memcached', options: unknown })
  await refused('### unstorage', { backend: 'unstorage', options: unknown })
})

t.test('docs: the sections of backends are those of the built-in backends', async (t) => {
  const linked = [...tableBelow(README, '## Backends')].map((row) => /^\[`(\w+)`\]\(docs\/[\w-]+\.md#\1\)$/.exec(row.name!)?.[1])
  t.same(linked.sort(), main.builtIns().names().sort(), 'README links to each')
  for (const [, name] of source('docs/backends.md').text.matchAll(/^### (.*)$/gm)) t.ok(linked.includes(name), name!)
})

t.test('docs: the environment variables are those of the code', async (t) => {
  t.same(namesOf(tableBelow(DOCS, '## Configuration from the environment'), 'variable'), [...VARIABLES].sort())
})

t.test('docs: the reason codes are those of the code', async (t) => {
  t.same(namesOf(tableBelow(DOCS, '### Requests that bypass the cache'), 'reason'), [...BYPASS_REASONS].sort())
  t.same(namesOf(tableBelow(DOCS, '### Responses that are not stored'), 'reason'), [...REFUSAL_REASONS].sort())
})

t.test('docs: the reasons of explain() are those of the code', async (t) => {
  const rows = tableBelow(DOCS, '### Decisions and their reasons')
  const named = (decision: string): string[] =>
    rows.filter((row) => codeIn(row.decision!) === decision).map((row) => codeIn(row.reason!)).sort()
  t.same(named('miss'), [...MISS_REASONS].sort())
  t.same([...named('hit'), ...named('stale')], ['fresh', 'max-stale', 'while-revalidate'])
})

t.test('docs: the error codes are those of the code', async (t) => {
  t.same(namesOf(tableBelow(DOCS, '## Errors'), 'code'), Object.keys(main).filter((name) => name.startsWith('CACHE_ERR_')).sort())
})

t.test('docs: the values of Cache-Status are those that are sent', async (t) => {
  const forwarded = (forward: ForwardReason, isStored: boolean, detail?: RefusalReason, status?: number): SentOutcome => ({
    name: 'forwarded', forward, isStored, detail, status
  })
  const status = new CacheStatus()
  const outcomes: SentOutcome[] = [
    { name: 'hit', ttlMs: 57_900 },
    forwarded('miss', true),
    forwarded('miss', false),
    { name: 'collapsed', forward: 'miss', isStream: false },
    { name: 'collapsed', forward: 'miss', isStream: true },
    forwarded('miss', false, 'set-cookie'),
    forwarded('request', true),
    { name: 'stale', ttlMs: -2_100 },
    forwarded('stale', true),
    forwarded('stale', true, undefined, 304),
    forwarded('stale', false, 'status', 503),
    { name: 'bypass', reason: 'credentials' },
    { name: 'bypass', reason: 'method' }
  ]
  const sent = outcomes.map((outcome) => status.of(outcome))
  t.same(tableBelow(DOCS, '## Cache-Status').map((row) => codeIn(row.value!)), sent)
})

t.test('docs: the members of fastify.cache are those of the code', async (t) => {
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

t.test('docs: numbers in the docs are those of the code', async (t) => {
  t.match(DOCS, `At most ${MAX_TAGS}, of at most ${MAX_TAG_CHARACTERS} characters`)
  t.match(DOCS, `at most ${MAX_VARIANTS} under one key`)
  t.match(DOCS, `names more than ${MAX_VARY_FIELDS} fields`)
  const unfit = Array.from({ length: 400 }, (_, index) => 200 + index).filter((status) => !isCacheableStatus(status))
  t.match(DOCS, `any final status other than ${unfit.slice(0, -1).join(', ')} and ${unfit.at(-1)}.`)
})

t.test('docs: CHANGELOG names every optional method', async (t) => {
  for (const power of POWERS) t.match(source('CHANGELOG.md').text, `\`${power}\``)
})

t.test('docs: the map in CONTRIBUTING names every folder of response/, and the order of imports is the one that is tested',
  async (t) => {
    const named = [...CONTRIBUTING.matchAll(/^\| `response\/([\w-]+)\/` \|/gm)].map(([, room]) => room!)
    t.same(named.sort(), [
      ...new Set(sourcesIn(['response']).map(({ path }) => path.split('/')).filter(({ length }) => length > 2).map(([, room]) => room!))
    ].sort())
    const [, order = ''] = /to the right of it:\s+```\s+(.+?)\s+```/s.exec(CONTRIBUTING) ?? []
    t.same(order.split(/,\s*/), [...RESPONSE_ROOMS].reverse())
    t.same(
      sourcesIn(['response']).map(({ path }) => path.split('/')[1]!.replace(/\.ts$/, '')).filter((room) => !RESPONSE_ROOMS.includes(room)),
      [], 'each has its place in the order')
  })

t.test('docs: the life of a request has the states, decisions and outcomes of the code, and the next states of each state', async (t) => {
  const life = CONTRIBUTING.slice(CONTRIBUTING.indexOf('## The life of a request'), CONTRIBUTING.indexOf('## Words'))
  const states = tableBelow(CONTRIBUTING, '### States of a fill')
  t.same(states.map(({ state }) => codeIn(state!)), Object.keys(NEXT_STATES))
  for (const { state, next } of states) {
    t.same([...new Set([...next!.matchAll(/`([a-z]+)`/g)].map(([, name]) => name))].sort(),
      [...NEXT_STATES[codeIn(state!) as FillStateName]].sort(), state!)
  }
  const decisions = tableBelow(CONTRIBUTING, '### Decisions').flatMap(({ decision }) =>
    [...decision!.matchAll(/`([\w-]+)`/g)].map(([, name]) => name!))
  t.same(decisions.sort(), [
    ...new Set([...source('response/serve-or-forward.ts').text.matchAll(/'((?:serve|forward)-[\w-]+|unsatisfiable)'/g)].map(([, name]) => name!))
  ].sort())
  const outcomes = [
    ...source('response/fill/validation.ts').text.matchAll(/^export type ValidationOutcome = (.+)$/gm)
  ].flatMap(([, names]) => [...names!.matchAll(/'([\w-]+)'/g)].map(([, name]) => name!))
  t.ok(outcomes.length > 5)
  for (const outcome of outcomes) t.ok(life.includes(`\`${outcome}\``), outcome)
})

t.test('docs: the files and tests in the table of design rules exist', async (t) => {
  const rows = tableBelow(CONTRIBUTING, '## What the design insists on')
  t.ok(rows.length > 8)
  for (const { where, test } of rows) {
    for (const cell of [where!, test!]) {
      const paths = [...cell.matchAll(/`([\w/.-]+\.ts)`/g)].map(([, path]) => path!)
      t.ok(paths.length > 0 && paths.every((path) => existsSync(join(root, path))), cell)
    }
  }
})

t.test('docs: links inside the project lead to existing files and headings', async (t) => {
  for (const { path, text } of [...pages, source('CONTRIBUTING.md')]) {
    for (const [link, to, anchor] of text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)) {
      const target = to === '' ? path : posix.join(posix.dirname(path), to!)
      if (!t.ok(existsSync(join(root, target)), `${path}: ${link}`) || anchor === undefined) continue
      const anchors = [
        ...source(target).text.matchAll(/^#+ (.*)$/gm)
      ].map(([, title]) => title!.toLowerCase().replace(/[^\w -]/g, '').replaceAll(' ', '-'))
      t.ok(anchors.includes(anchor), `${path}: ${link}`)
    }
  }
})
