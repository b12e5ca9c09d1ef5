// What is left after many repetitions of one thing: cases that are measured in processes of their own, with heaps of their own.
import type { Test } from 'tap'
import { runChild } from './child.js'
import type { LeaksReport } from './children/leaks.js'

const MB = 1e6

export const CASES: ReadonlyArray<readonly [name: string, task: string, mayGrowBytes: number]> = [
  ['many invalidations of different things', 'invalidations', 4 * MB],
  ['many entries have no timers of their own', 'entries', 40 * MB],
  ['many requests while the backend hangs', 'outage', 8 * MB],
  ['many clients that disconnect from handlers that never respond', 'aborted', 4 * MB],
  ['registered and closed many times', 'lives', 10 * MB]
]

/** Runs the cases on the backend of `choice`. */
export async function leavesNothing (t: Test, choice: (t: Test) => object, cases = CASES): Promise<void> {
  for (const [name, task, mayGrowBytes] of cases) {
    await t.test(name, async (t) => {
      const { exitCode, stdout, stderr } = await runChild('support/children/leaks.js', {
        args: [task, JSON.stringify(choice(t))], nodeArgs: ['--expose-gc', '--unhandled-rejections=strict']
      })
      t.equal(exitCode, 0, stderr)
      t.notMatch(stderr, /MaxListeners|TimeoutOverflow|unhandled/)
      const { heapBytes, timers, files, listeners } = JSON.parse(stdout) as LeaksReport
      t.ok(heapBytes < mayGrowBytes, `the heap grew by ${(heapBytes / MB).toFixed(1)} MB`)
      t.ok(timers <= 1, `${timers} timers`)
      t.ok(files <= 2, `${files} open files`)
      t.equal(listeners, 0)
    })
  }
}
