// A backend's background task that runs when a test says so, and not by itself.
import type { Test } from 'tap'
import type { BackgroundTasks } from '../../registry/background.js'

export interface ByHand {
  readonly background: BackgroundTasks
  /** Runs the background task once. Its pauses don't keep a process alive, so this does. */
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
