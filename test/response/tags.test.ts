// Tags: version stamps in the backend. A stamp that is missing, changed or unreadable makes entries misses, never the opposite.
import fc from 'fast-check'
import t from 'tap'
import type { StoredEntry } from '../../registry/backend.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import { BackendGuard } from '../../response/store/backend-guard.js'
import { Deadline } from '../../registry/deadline.js'
import { areTags, MAX_TAG_CHARACTERS, MAX_TAGS } from '../../response/options/invalidation-target.js'
import { CacheStatus } from '../../response/observe/cache-status.js'
import { ThrottledLog } from '../../response/observe/log.js'
import { Observer } from '../../response/observe/observer.js'
import { Tags } from '../../response/store/tags.js'
import { Chaos } from '../support/chaos.js'
import { testClock } from '../support/clock.js'
import { mapBackend } from '../support/map-backend.js'
import { sized } from '../support/size.js'

const MINUTE_MS = 60_000

function setUp (namespace = '') {
  const clock = testClock()
  const entries = new Map<string, StoredEntry>()
  const chaos = new Chaos()
  const silent = { debug () {}, info () {}, warn () {}, error () {} }
  const guard = new BackendGuard(chaos.wrap(mapBackend(clock.now, entries)), {
    name: 'map',
    deadlineMs: 30,
    now: clock.now,
    steadyNow: clock.now,
    observer: new Observer(new CacheStatus(), new ThrottledLog(silent, clock.now))
  })
  const tagsOf = (name: string): Tags => new Tags(guard, name, clock.now)
  const tags = tagsOf(namespace)
  return {
    clock,
    entries,
    chaos,
    tagsOf,
    tags,
    stamped: async (...names: string[]) => await tags.stamped(names, guard.deadline()) as string[],
    areCurrent: async (pairs: readonly string[], by = tags) => await by.areCurrent(pairs, guard.deadline()),
    staleSince: async (pairs: readonly string[], by = tags) => await by.staleSince(pairs, guard.deadline())
  }
}

t.test('a tag is seeded once, and its stamp stays until it is invalidated', async (t) => {
  const { tags, stamped, areCurrent, entries } = setUp()
  const pairs = await stamped('a', 'b')
  t.strictSame(pairs.filter((_, at) => at % 2 === 0), ['a', 'b'])
  t.strictSame(await stamped('a', 'b'), pairs)
  t.equal(entries.size, 4, 'two stamps each')
  t.equal(await areCurrent(pairs), true)
  await tags.invalidate('a')
  t.equal(await areCurrent(pairs), false, 'one of them is enough')
  t.equal(await areCurrent(pairs.slice(2)), true)
  t.not((await stamped('a'))[1], pairs[1])
  t.equal(entries.size, 4, 'nothing grows')
})

t.test('a stamp that the backend lost, changed or damaged is a miss, and never returns as it was', async (t) => {
  const { entries, stamped, areCurrent, staleSince, clock } = setUp()
  const pairs = await stamped('a')
  const [[key, entry], [hardKey]] = [...entries] as [[string, StoredEntry], [string, StoredEntry]]
  const stamp = pairs[1]!.split(' ')[0]!
  for (const value of ['', 'x', `${stamp}x`, stamp.slice(1), stamp.toUpperCase(), pairs[1]!, '\xff\xfe']) {
    entries.set(key, { value: Buffer.from(value, 'latin1'), expiresAt: entry.expiresAt })
    t.equal(await areCurrent(pairs), false, JSON.stringify(value))
  }
  for (const value of ['', 'x', stamp.toUpperCase(), pairs[1]!, '\xff\xfe']) {
    entries.set(key, { value: Buffer.from(value, 'latin1'), expiresAt: entry.expiresAt })
    t.equal(await staleSince(pairs), undefined, JSON.stringify(value))
  }
  entries.delete(key)
  t.equal(await areCurrent(pairs), false)
  t.equal(await staleSince(pairs), undefined)
  const [, hard] = await stamped('a')
  t.equal(await staleSince(pairs), clock.now(), 'a stamp that was lost and made anew counts as softly invalidated')
  entries.delete(hardKey)
  t.equal(await areCurrent(['a', hard!]), true)
  t.equal(await staleSince(pairs), undefined, 'the hard stamp is lost: the entry is gone')
  entries.delete(key)
  t.not((await stamped('a'))[1], pairs[1], 'a new seed is a new stamp')
  t.equal(await areCurrent(pairs), false)
  await clock.pass(366 * 86_400_000)
  t.equal(await areCurrent(await stamped('a')), true)
})

t.test('a soft invalidation of a tag makes entries stale, and does not remove them', async (t) => {
  const { tags, stamped, areCurrent, staleSince, clock } = setUp()
  const pairs = await stamped('a', 'b')
  await clock.pass(1_000)
  const softAt = clock.now()
  await tags.invalidate('a', true)
  await clock.pass(1_000)
  t.equal(await areCurrent(pairs), false)
  t.equal(await staleSince(pairs), softAt, 'since then')
  t.equal(await staleSince(pairs.slice(0, 2)), softAt)
  t.equal(await areCurrent(pairs.slice(2)), true, 'another tag is not affected')
  t.equal(await areCurrent(await stamped('a', 'b')), true, 'new entries are current')
  await tags.invalidate('b', true)
  t.equal(await staleSince(pairs), softAt, 'the first of several counts')
})

t.test('entries of a tag that is softly invalidated repeatedly are stale since the first time after they were filled', async (t) => {
  const { tags, stamped, staleSince, areCurrent, clock, entries } = setUp()
  const first = await stamped('a')
  await clock.pass(MINUTE_MS)
  const firstAt = clock.now()
  await tags.invalidate('a', true)
  await clock.pass(MINUTE_MS)
  const second = await stamped('a')
  await clock.pass(MINUTE_MS)
  const secondAt = clock.now()
  for (let times = 0; times < 10; times++) {
    await tags.invalidate('a', true)
    await clock.pass(MINUTE_MS)
  }
  t.equal(await staleSince(first), firstAt)
  t.equal(await staleSince(second), secondAt, 'an entry that was filled in between, since the next one')
  t.equal(await areCurrent(await stamped('a')), true)
  const size = () => [...entries.values()].reduce((sum, { value }) => sum + value.byteLength, 0)
  await repeatedly(100)
  const bytes = size()
  await repeatedly(900)
  t.equal(entries.size, 3, 'two stamps and one list')
  t.ok(size() <= bytes, 'the list does not grow')
  for (const [pairs, at] of [[first, firstAt], [second, secondAt]] as const) {
    const since = await staleSince(pairs) as number
    t.ok(since >= at && clock.now() - since > (clock.now() - at) / 2, 'the stale time is at least half of the true one')
  }

  async function repeatedly (count: number): Promise<void> {
    for (let times = 0; times < count; times++) {
      await clock.pass(MINUTE_MS)
      await tags.invalidate('a', true)
    }
  }
})

t.test('without the list of soft invalidations, or with a damaged one, the last one counts; a failure to write it rejects', async (t) => {
  const { tags, stamped, staleSince, clock, entries, chaos } = setUp()
  const pairs = await stamped('a')
  for (let times = 0; times < 2; times++) {
    await clock.pass(MINUTE_MS)
    await tags.invalidate('a', true)
  }
  const lastAt = clock.now()
  const [key, { expiresAt }] = [...entries].find(([key]) => key.endsWith('?')) as [string, StoredEntry]
  for (const text of ['', ',', '!', 'zzzzzzzzzzzzzzzzz', '\xff', '{"a":1}']) {
    entries.set(key, { value: Buffer.from(text, 'latin1'), expiresAt })
    t.equal(await staleSince(pairs), lastAt, JSON.stringify(text))
  }
  entries.delete(key)
  t.equal(await staleSince(pairs), lastAt)
  chaos.set.reject()
  await t.rejects(tags.invalidate('a', true), { code: 'CACHE_ERR_BACKEND_FAILED' })
})

t.test('what a tag invalidated stays invalidated, whatever is done softly before, after and at the same time', async (t) => {
  const acts = [[false], [true, false], [false, true], [true, false, true]]
  for (const act of acts) {
    const { tags, tagsOf, stamped, staleSince, areCurrent } = setUp()
    const pairs = await stamped('a')
    await Promise.all(act.map(async (soft, at) => await (at === 0 ? tags : tagsOf('')).invalidate('a', soft)))
    t.equal(await areCurrent(pairs), false, act.join())
    t.equal(await staleSince(pairs), undefined, act.join())
  }
})

t.test('a stamp from a clock that is ahead is not stale in the future', async (t) => {
  const { entries, stamped, staleSince, tags, clock } = setUp()
  const pairs = await stamped('a')
  await tags.invalidate('a', true)
  const [key, entry] = [...entries][0]!
  const [, ...rest] = Buffer.from(entry.value).toString('latin1').split('.')
  entries.set(key, { value: Buffer.from([(clock.now() + 1e9).toString(36), ...rest].join('.')), expiresAt: entry.expiresAt })
  t.equal(await staleSince(pairs), clock.now())
})

t.test('two processes that seed at once share the stamps', async (t) => {
  const { tagsOf, areCurrent, chaos } = setUp()
  const [one, other] = [tagsOf(''), tagsOf('')]
  for (const method of [chaos.get, chaos.getMany]) method.later()
  const [mine, its] = await Promise.all([
    one.stamped(['a'], new Deadline(1_000)), other.stamped(['a'], new Deadline(1_000))
  ]) as [string[], string[]]
  t.same(mine, its)
  t.equal(await areCurrent(mine), true)
})

t.test('a backend that cannot tell does not make an entry current', async (t) => {
  const { chaos, stamped, areCurrent, staleSince, tags } = setUp()
  const pairs = await stamped('a', 'b')
  chaos.get.throw()
  chaos.getMany.throw()
  t.equal(await areCurrent(pairs), UNAVAILABLE)
  t.equal(await stamped('a') as unknown, UNAVAILABLE)
  t.equal(await staleSince(pairs), UNAVAILABLE)
  chaos.set.reject()
  await t.rejects(tags.invalidate('a'), { code: 'CACHE_ERR_BACKEND_FAILED' })
})

t.test('if a backend has no room for a new stamp but deletes the old one, the entries are gone', async (t) => {
  for (const soft of [false, true]) {
    const { chaos, stamped, areCurrent, staleSince, tags } = setUp()
    const pairs = await stamped('a')
    t.equal(await areCurrent(pairs), true)
    chaos.set.reject(Object.assign(new Error('full'), { isFull: true }))
    await tags.invalidate('a', soft)
    t.equal(await areCurrent(pairs), false)
    t.equal(await staleSince(pairs), undefined)
  }
})

t.test('distinct tags, and those of distinct namespaces, never share a stamp', async (t) => {
  const text = fc.string({
    unit: fc.oneof(fc.constantFrom(...'0123456789:~ trd|', '\0', '\ud800', '\udfff', '__proto__'),
      fc.string({ minLength: 1, maxLength: 1 })),
    minLength: 1,
    maxLength: 200
  })
  await fc.assert(fc.asyncProperty(text, text, fc.constantFrom('', 'a', '1:', '0:t '), fc.constantFrom('', 'a', '1:', '0:t '),
    async (one, other, namespace, otherNamespace) => {
      const { tagsOf, entries } = setUp()
      await tagsOf(namespace).stamped([one], new Deadline(1_000))
      await tagsOf(otherNamespace).stamped([other], new Deadline(1_000))
      return entries.size === (one === other && namespace === otherNamespace ? 2 : 4)
    }), { numRuns: sized(2_000) })
  t.pass('for every pair')
})

t.test('tags are limited in number and length, and contain any text', async (t) => {
  const of = (count: number): string[] => Array.from({ length: count }, (_, at) => `tag ${at}`)
  t.ok(areTags(of(MAX_TAGS)))
  t.notOk(areTags(of(MAX_TAGS + 1)))
  t.notOk(areTags(of(10_000)))
  t.ok(areTags(['x'.repeat(MAX_TAG_CHARACTERS)]))
  t.notOk(areTags(['x'.repeat(MAX_TAG_CHARACTERS + 1)]))
  for (const tags of [[''], [1], [null], 'a', { 0: 'a', length: 1 }, undefined, [['a']], [Object('a')]]) {
    t.notOk(areTags(tags), JSON.stringify(tags))
  }
  t.ok(areTags(['__proto__', 'constructor', 'a b', 'a,b', 'a\nb', '*', '\ud800']))
  const { stamped, areCurrent, entries } = setUp()
  t.equal(await areCurrent(await stamped('x'.repeat(MAX_TAG_CHARACTERS), '__proto__', '\ud800', '\udfff')), true)
  t.equal(entries.size, 8)
  t.ok([...entries.keys()].every((key) => key.length < 200), 'keys stay short')
})

t.test('first fills of a tag that read at the same time share one stamp, and all are hits', async (t) => {
  const { chaos, stamped, areCurrent } = setUp()
  for (const method of [chaos.get, chaos.getMany]) method.later()
  const all = await Promise.all(Array.from({ length: 5 }, async () => await stamped('a')))
  t.same(new Set(all.map(([, stamps]) => stamps)).size, 1)
  for (const pairs of all) t.equal(await areCurrent(pairs), true)
})
