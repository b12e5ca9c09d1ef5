// Closing, in processes of their own: they end by themselves, whatever the backend does when it is closed.
import type { Test } from 'tap'
import type { MaybePromise } from '../../registry/backend.js'
import { runChild } from './child.js'
import type { ClosingReport, ClosingTask } from './children/closing.js'

// The additional time that a busy machine may take.
const SLACK_MS = 1_000
const EXIT_MS = 3_000

async function run (t: Test, task: ClosingTask): Promise<ClosingReport> {
  const { exitCode, signal, stdout, stderr } = await runChild('support/children/closing.js', {
    args: [JSON.stringify(task)], nodeArgs: ['--unhandled-rejections=strict']
  })
  t.equal(signal, null, 'it was not killed')
  t.equal(exitCode, 0)
  t.notMatch(stderr, /unhandled|MaxListeners|TimeoutOverflow|Error/i)
  const report = JSON.parse(stdout) as ClosingReport
  t.ok(report.lingeredMs < EXIT_MS, `it ended by itself after ${report.lingeredMs.toFixed(0)} ms`)
  t.ok(report.statuses.every((status) => status === 200))
  return report
}

type Case = readonly [name: string, task: Omit<ClosingTask, 'choice'>, mayTakeMs: number]

/** What a backend may do when the process has to end. */
export const CASES: readonly Case[] = [
  ['ends after close()', {}, 0],
  ['ends without close() when nothing else is left to do', { close: 'never' }, 0],
  ['a request in flight gets its response', { inFlight: true }, 0],
  ['close() throws', { chaos: { method: 'close', command: 'throw' } }, 0],
  ['close() rejects', { chaos: { method: 'close', command: 'reject' } }, 0],
  ['close() hangs', { chaos: { method: 'close', command: 'hang' } }, 800],
  ['writes hang', { chaos: { method: 'set', command: 'hang' } }, 800],
  ['reads hang, a request is in flight', { chaos: { method: 'get', command: 'hang' }, inFlight: true }, 50],
  ['writes hang, a request is in flight', { chaos: { method: 'set', command: 'hang' }, inFlight: true }, 800],
  ['close() hangs, a request is in flight', { chaos: { method: 'close', command: 'hang' }, inFlight: true }, 800]
]

/** Runs the cases on the backend of `choice`. */
export async function endsByItself (t: Test, choice: (t: Test) => MaybePromise<ClosingTask['choice']>, cases = CASES): Promise<void> {
  for (const [name, task, mayTakeMs] of cases) {
    await t.test(name, async (t) => {
      const { closeMs, statuses } = await run(t, { ...task, choice: await choice(t) })
      t.ok(closeMs < mayTakeMs + SLACK_MS, `closing took ${closeMs.toFixed(0)} ms`)
      t.equal(statuses.length, task.inFlight === true || task.close === 'never' ? 2 : 1)
    })
  }
}
