// What the measurements share: statistics, keys and values, turns, and the bench of a subject.
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { Bench } from '../../benchmarks/core/bench.js'
import { loopDelay } from '../../benchmarks/core/delay.js'
import { median, quartiles, rounded, significant } from '../../benchmarks/core/statistics.js'
import type { Subject } from '../../benchmarks/core/subject.js'
import { takeTurns } from '../../benchmarks/core/turns.js'
import { keysOf, shuffled, valueOf } from '../../benchmarks/core/workload.js'

t.test('statistics: the median and the quartiles are those of the sorted values', async (t) => {
  t.equal(median([9, 1, 100]), 9)
  t.equal(median([4, 1, 3, 2]), 2.5)
  t.same(quartiles([5, 1, 4, 2, 3]), [2, 4])
  t.same(quartiles([7]), [7, 7])
  t.throws(() => median([]), /quantile of nothing/)
})

t.test('statistics: figures are rounded to decimal places or to three significant digits', async (t) => {
  t.same([rounded(1.2345, 2), significant(123_456), significant(0.012345)], [1.23, 123_000, 0.0123])
})

t.test('turns: each round begins with another contender', async (t) => {
  const order: string[] = []
  await takeTurns(['a', 'b', 'c'], 3, async (one, round) => { order.push(`${one}${round}`) })
  t.same(order, ['a0', 'b0', 'c0', 'b1', 'c1', 'a1', 'c2', 'a2', 'b2'])
})

t.test('workload: keys and values are distinct, and values have the requested size', async (t) => {
  t.equal(new Set(keysOf('kept', 1_000)).size, 1_000)
  for (const bytes of [1, 100, 1_000_000]) t.equal(valueOf(bytes, 3).byteLength, bytes)
  t.notOk(valueOf(100, 1).equals(valueOf(100, 2)))
  t.equal(valueOf(100, 1).buffer.byteLength, 100, 'not a part of a pool')
})

t.test('workload: the order is random, complete, and the same each time', async (t) => {
  const order = [...shuffled(1_000)]
  t.same(order.toSorted((a, b) => a - b), Array.from({ length: 1_000 }, (_, number) => number))
  t.not(order.join(), order.toSorted((a, b) => a - b).join())
  t.same([...shuffled(1_000)], order)
})

/** A subject on a Map; `changed` replaces some of its methods. */
function subject (entries = new Map<string, Buffer>(), changed: Partial<Subject> = {}): Subject {
  return {
    get: (key) => entries.get(key),
    set: async (key, value) => { entries.set(key, value) },
    delete: (key) => { if (!entries.delete(key)) throw new Error(`deleted ${key}, which does not exist`) },
    bytesOf: (found) => found as Buffer,
    close () {},
    ...changed
  }
}

const WORKLOAD = { entries: 200, valueBytes: 50, inFlight: 8 }

t.test('bench: get and replace use existing keys, miss uses missing keys, and set uses new keys', async (t) => {
  const entries = new Map<string, Buffer>()
  let added = 0
  const bench = new Bench(subject(entries, {
    set: async (key, value) => { if (!entries.has(key)) added++; entries.set(key, value) }
  }), WORKLOAD)
  t.match(await bench.fill(10_000), { entries: 200, heapBytesPerEntry: Number })
  const get = await bench.slice('get', 5)
  t.equal(get.found, get.operations)
  t.equal((await bench.slice('miss', 5)).found, 0)
  added = 0
  await bench.slice('replace', 5)
  t.equal(added, 0)
  const { set, delete: deleted } = await bench.churn(5)
  t.equal(set.operations, added)
  t.equal(deleted.operations, added)
  t.equal(entries.size, 200)
  t.same(Object.keys(bench.latencies()).sort(), ['delete', 'get', 'miss', 'replace', 'set'])
  bench.discardLatencies()
  t.same(bench.latencies(), {})
})

t.test('bench: a slow store gets as many entries as there is time for', async (t) => {
  const entries = new Map<string, Buffer>()
  const slow = subject(entries, { set: async (key, value) => { await wait(5); entries.set(key, value) } })
  const { entries: filled } = await new Bench(slow, { ...WORKLOAD, entries: 100_000 }).fill(50)
  t.equal(filled, entries.size)
  t.ok(filled > 0 && filled < 100_000, String(filled))
})

t.test('bench: a store that keeps nothing, or returns other bytes, is not measured', async (t) => {
  await t.rejects(new Bench(subject(new Map(), { set () {} }), WORKLOAD).fill(10_000), /just written is missing/)
  await t.rejects(new Bench(subject(new Map(), { bytesOf: () => Buffer.from('other') }), WORKLOAD).fill(10_000), /differs from what was written/)
})

t.test('bench: an error names the operation, and keeps its code', async (t) => {
  const failing = subject(new Map(), { set: async () => { throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC' }) } })
  await t.rejects(new Bench(failing, WORKLOAD).fill(1_000), { message: 'fill failed: the disk is full', code: 'ENOSPC' })
})

t.test('bench: tidy leaves nothing behind', async (t) => {
  const entries = new Map<string, Buffer>()
  const bench = new Bench(subject(entries, { delete: (key) => { entries.delete(key) } }), WORKLOAD)
  await bench.fill(10_000)
  await bench.tidy(10_000)
  t.equal(entries.size, 0)
})

t.test('delay: a busy event loop is seen, and the pace is kept if the store can keep it', async (t) => {
  const idle = await loopDelay({ operate: () => undefined, perSecond: 1_000, forMs: 100, inFlight: 8 })
  const busy = await loopDelay({
    operate: () => { for (const until = performance.now() + 20; performance.now() < until;); },
    perSecond: 10,
    forMs: 300,
    inFlight: 8
  })
  t.ok(busy.maxMs > 10, `${busy.maxMs} ms`)
  t.ok(idle.operationsPerSecond > 300, String(idle.operationsPerSecond))
  await t.rejects(loopDelay({ operate: () => Promise.reject(new Error('no')), perSecond: 1_000, forMs: 1_000, inFlight: 8 }), /no/)
})
