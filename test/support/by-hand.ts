// A backend's background task that runs only when the test runs it.
import type { Test } from 'tap'
import type { BackgroundTasks } from '../../registry/background.js'

export interface ByHand {
  readonly background: BackgroundTasks
  /** Runs the background task once. The task's pauses don't keep the process alive, so this timer does. */
  cleanup (): Promise<void>
}

export function byHand (t: Test): ByHand {
  let running: Promise<unknown> | undefined
  let run: () => unknown = () => t.fail('no background task was started')
  return {
    background: {
      every (_name, _intervalMs, task) {
        run = task
        return { cancel: async () => { await running?.catch(() => {}) } }
      }
    },
    async cleanup () {
      const keepAlive = setInterval(() => {}, 60_000)
      await (running = Promise.resolve(run())).finally(() => { clearInterval(keepAlive) })
    }
  }
}
