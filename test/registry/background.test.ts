// Background tasks: one timer that keeps no process alive, and runs that never overlap and survive a failure.
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { Background } from '../../registry/background.js'
import { runChild } from '../support/child.js'

// The tasks' own timer keeps no process alive, and nothing else does while a test waits for it.
const keepAlive = setInterval(() => {}, 60_000)
t.teardown(() => clearInterval(keepAlive))

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

function deferred (): { promise: Promise<void>, resolve: () => void } {
  let resolve!: () => void
  const promise = new Promise<void>((_resolve) => { resolve = _resolve })
  return { promise, resolve }
}

/** Background tasks on a clock that the test advances, so that due tasks run at once. */
function setUp () {
  const warnings: Array<{ details: { err?: unknown, task?: string }, message: string }> = []
  let at = 0
  const background = new Background({ warn: (details, message) => { warnings.push({ details, message }) } }, () => at)
  return {
    background,
    warnings,
    /** Advances the clock, wakes the timer by adding a task, and waits until due tasks have begun. */
    async pass (ms: number) {
      at += ms
      const waker = deferred()
      const task = background.every('waker', 0, waker.resolve)
      await waker.promise
      await task.cancel()
      await turn()
    }
  }
}

t.test('background: a task runs once its interval has passed, and again after the next', async (t) => {
  const { background, pass } = setUp()
  let runs = 0
  background.every('task', 1_000, () => { runs++ })
  await pass(999)
  t.equal(runs, 0)
  await pass(1)
  t.equal(runs, 1)
  await pass(999)
  t.equal(runs, 1)
  await pass(1)
  t.equal(runs, 2)
  await background.close()
})

t.test('background: after a clock jump a task runs once, however many runs it missed', async (t) => {
  const { background, pass } = setUp()
  let runs = 0
  background.every('task', 1_000, () => { runs++ })
  await pass(100_000)
  t.equal(runs, 1)
  await background.close()
})

t.test('background: a run that throws or rejects is logged with the name of its task, and the next run follows', async (t) => {
  const { background, pass, warnings } = setUp()
  const failure = new Error('database is locked')
  const fails: Array<() => unknown> = [() => { throw failure }, async () => { throw failure }, () => Promise.reject(failure)]
  let runs = 0
  background.every('sweep', 1_000, () => fails[runs++]?.())
  for (let run = 1; run <= 4; run++) {
    await pass(1_000)
    t.equal(runs, run)
  }
  t.equal(warnings.length, 3)
  for (const { details, message } of warnings) {
    t.equal(details.err, failure)
    t.equal(details.task, 'sweep')
    t.match(message, /background task failed, it will run again/)
  }
  await background.close()
})

t.test('background: runs of one task never overlap, however long one takes, and other tasks run meanwhile', async (t) => {
  const { background, pass } = setUp()
  const first = deferred()
  let begun = 0
  let others = 0
  background.every('slow', 1_000, () => { begun++; return begun === 1 ? first.promise : undefined })
  background.every('other', 1_000, () => { others++ })
  for (let run = 0; run < 3; run++) await pass(1_000)
  t.equal(begun, 1)
  t.equal(others, 3)
  first.resolve()
  await turn()
  await pass(1_000)
  t.equal(begun, 2)
  await background.close()
})

t.test('background: cancel waits for the run under way, and ends the task', async (t) => {
  const { background, pass } = setUp()
  const run = deferred()
  let ended = false
  const task = background.every('slow', 1_000, async () => {
    await run.promise
    ended = true
  })
  await pass(1_000)
  let cancelled = false
  const cancelling = task.cancel().then(() => { cancelled = true })
  await turn()
  t.equal(cancelled, false)
  run.resolve()
  await cancelling
  t.equal(ended, true)
  await task.cancel()
  await background.close()
})

t.test('background: a cancelled task does not run again, and other tasks do', async (t) => {
  const { background, pass } = setUp()
  const runs = { kept: 0, cancelled: 0 }
  background.every('kept', 1_000, () => { runs.kept++ })
  const task = background.every('cancelled', 1_000, () => { runs.cancelled++ })
  await task.cancel()
  await pass(1_000)
  t.same(runs, { kept: 1, cancelled: 0 })
  await background.close()
})

t.test('background: a run may cancel another task that is due at the same instant', async (t) => {
  const { background, pass } = setUp()
  let runs = 0
  background.every('first', 1_000, () => second.cancel())
  const second = background.every('second', 1_000, () => { runs++ })
  await pass(1_000)
  t.equal(runs, 0)
  await background.close()
})

t.test('background: close ends every task, waits for the runs under way, and may be called twice', async (t) => {
  const { background, pass } = setUp()
  const run = deferred()
  let ended = false
  let runs = 0
  background.every('slow', 1_000, async () => {
    await run.promise
    ended = true
  })
  await pass(1_000)
  background.every('late', 1_000, () => { runs++ })
  const closing = background.close()
  run.resolve()
  await Promise.all([closing, background.close()])
  t.equal(ended, true)
  await background.close()
  background.every('after close', 0, () => { runs++ })
  await wait(5)
  t.equal(runs, 0)
})

t.test('background: a thousand tasks share one timer, and none is left after close', async (t) => {
  const before = timers()
  const background = new Background({ warn () {} })
  const tasks = Array.from({ length: 1_000 }, () => background.every('task', 60_000, () => {}))
  t.ok(timers() <= before + 1, `${timers()} timers`)
  await tasks[0]?.cancel()
  await background.close()
  t.ok(timers() <= before, `${timers()} timers`)
})

t.test('background: an interval above 2^31 milliseconds neither warns nor runs at once', async (t) => {
  const warnings: Error[] = []
  const onWarning = (warning: Error) => { warnings.push(warning) }
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  const background = new Background({ warn () {} })
  let runs = 0
  for (const intervalMs of [2 ** 31, 40 * 86_400_000, Number.MAX_SAFE_INTEGER, Infinity]) {
    background.every('task', intervalMs, () => { runs++ })
  }
  await wait(20)
  t.equal(runs, 0)
  t.same(warnings, [])
  await background.close()
})

t.test('background: a task of 40 days runs after 40 days, although its timer wakes earlier', async (t) => {
  const { background, pass } = setUp()
  let runs = 0
  background.every('task', 40 * 86_400_000, () => { runs++ })
  await pass(2 ** 31)
  t.equal(runs, 0)
  await pass(40 * 86_400_000 - 2 ** 31)
  t.equal(runs, 1)
  await background.close()
})

t.test('background: a process whose background tasks were never closed exits by itself', async (t) => {
  const { exitCode, signal, stdout } = await runChild('support/children/background.js')
  t.equal(signal, null)
  t.equal(exitCode, 0)
  t.equal(stdout, 'ran\n')
})
