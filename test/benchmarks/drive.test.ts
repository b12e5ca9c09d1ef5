// The measuring loop: how many calls are concurrent, what is counted, when it ends, and what is timed.
import { createHistogram } from 'node:perf_hooks'
import t from 'tap'
import { drive } from '../../benchmarks/core/drive.js'

const LONG_MS = 60_000

t.test('drive: as many calls as requested are concurrent, and never more', async (t) => {
  let [pending, most] = [0, 0]
  const release: Array<() => void> = []
  const operate = (): Promise<void> => {
    most = Math.max(most, ++pending)
    return new Promise<void>((resolve) => {
      release.push(() => { pending--; resolve() })
      // The calls settle only when all of them are pending.
      if (pending === 8) for (const one of release.splice(0)) one()
    })
  }
  const { operations } = await drive({ operate, inFlight: 8, forMs: LONG_MS, most: 80, timedOneIn: 1, latencies: createHistogram() })
  t.equal(operations, 80)
  t.equal(most, 8)
})

t.test('drive: synchronous calls are counted, and so are those that found something', async (t) => {
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

t.test('drive: ends when its time has passed, and lets the event loop turn until then', async (t) => {
  let turns = 0
  let ended = false
  const turn = (): void => { if (!ended) setImmediate(() => { turns++; turn() }) }
  turn()
  const { elapsedMs } = await drive({ operate: () => 1, inFlight: 64, forMs: 300, timedOneIn: 100, latencies: createHistogram() })
  ended = true
  t.ok(elapsedMs >= 300, String(elapsedMs))
  t.ok(turns > 1, String(turns))
})

t.test('drive: one of so many operations is timed, or every one', async (t) => {
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

t.test('drive: rejects with the error of an operation that fails', async (t) => {
  const error = new Error('no')
  const common = { inFlight: 2, forMs: LONG_MS, timedOneIn: 1, latencies: createHistogram() }
  await t.rejects(drive({ ...common, operate: () => Promise.reject(error) }), error)
  await t.rejects(drive({ ...common, operate: () => { throw error } }), error)
})
