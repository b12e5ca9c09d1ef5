// The loop that measures: how many calls are under way, what is counted, when it ends, what is timed.
import { createHistogram } from 'node:perf_hooks'
import t from 'tap'
import { drive } from '../../benchmarks/core/drive.js'

const LONG_MS = 60_000

t.test('drive: so many calls are under way, never more', async (t) => {
  let [underWay, most] = [0, 0]
  const release: Array<() => void> = []
  const operate = (): Promise<void> => {
    most = Math.max(most, ++underWay)
    return new Promise<void>((resolve) => {
      release.push(() => { underWay--; resolve() })
      // Only when all that may come have come, the first may go.
      if (underWay === 8) for (const one of release.splice(0)) one()
    })
  }
  const { operations } = await drive({ operate, inFlight: 8, forMs: LONG_MS, most: 80, timedOneIn: 1, latencies: createHistogram() })
  t.equal(operations, 80)
  t.equal(most, 8)
})

t.test('drive: synchronous answers are counted, those that found something apart', async (t) => {
  const numbers: number[] = []
  const operate = (number: number): unknown => {
    numbers.push(number)
    return [undefined, null, 'found', 0][number % 4]
  }
  const { operations, found } = await drive({
    operate, inFlight: 4, forMs: LONG_MS, most: 400, timedOneIn: 1, latencies: createHistogram()
  })
  t.same(numbers, Array.from({ length: 400 }, (_, number) => number))
  t.same({ operations, found }, { operations: 400, found: 200 })
})

t.test('drive: it ends when the time is over, and lets the loop turn before that', async (t) => {
  let turns = 0
  let over = false
  const turn = (): void => { if (!over) setImmediate(() => { turns++; turn() }) }
  turn()
  const { elapsedMs } = await drive({ operate: () => 1, inFlight: 64, forMs: 100, timedOneIn: 100, latencies: createHistogram() })
  over = true
  t.ok(elapsedMs >= 100, String(elapsedMs))
  t.ok(turns > 2, String(turns))
})

t.test('drive: one in so many operations is timed, each of them where that is asked', async (t) => {
  const timed = async (timedOneIn: number): Promise<number> => {
    const latencies = createHistogram()
    await drive({
      operate: (number) => number % 2 === 0 ? 1 : Promise.resolve(1), inFlight: 4, forMs: LONG_MS, most: 10_000, timedOneIn, latencies
    })
    return latencies.count
  }
  t.equal(await timed(1), 10_000)
  const some = await timed(10)
  t.ok(some > 800 && some < 1_250, String(some))
})

t.test('drive: an operation that fails ends it with its error', async (t) => {
  const error = new Error('no')
  const common = { inFlight: 2, forMs: LONG_MS, timedOneIn: 1, latencies: createHistogram() }
  await t.rejects(drive({ ...common, operate: () => Promise.reject(error) }), error)
  await t.rejects(drive({ ...common, operate: () => { throw error } }), error)
})
