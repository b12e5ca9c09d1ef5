// Does long work in steps of a few milliseconds, and retries while another process has the lock.
import { setTimeout as sleep } from 'node:timers/promises'
import { isBusy } from './driver.js'

/** How long one step may block the event loop. */
const STEP_MS = 4

// The pause between two steps. In this pause, the event loop does other work, and other processes can get the lock.
const PAUSE_MS = 1

/** How long work is retried while the database is locked. */
const PATIENCE_MS = 5_000

const FIRST_WAIT_MS = 2
const LONGEST_WAIT_MS = 25

/** Does as much work as it has time for. Returns true if nothing is left to do. */
export type Step = (hasTime: () => boolean) => boolean

/** Options for the waits between steps and between retries. */
export interface SliceOptions {
  /** Whether a wait keeps the process alive. */
  ref?: boolean
  /** The pause between two steps. */
  pauseMs?: number
}

/** Starts the time of a step. Returns a function that returns whether the step has time left. */
export function stepClock (): () => boolean {
  const endsAt = performance.now() + STEP_MS
  return () => performance.now() < endsAt
}

/** Runs the long operations of one backend. */
export class TimeSlices {
  #endsAt = Infinity

  /** From now on, nothing is retried for longer than `ms`. */
  endWithin (ms: number): void {
    this.#endsAt = performance.now() + ms
  }

  /** Returns the result of `work`. Calls it again while the database is locked. If this takes too long, throws the driver's last error. */
  async retry<T> (work: () => T, { ref = true }: SliceOptions = {}): Promise<T> {
    const deadline = performance.now() + PATIENCE_MS
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
      try {
        return work()
      } catch (error) {
        if (!isBusy(error) || performance.now() > Math.min(deadline, this.#endsAt)) throw error
      }
      // The wait is partly random, so that two processes that wait for each other's lock don't keep colliding.
      await sleep(waitMs * (0.5 + Math.random()), undefined, { ref })
    }
  }

  /** Repeats `step` until nothing is left to do. */
  async steps (step: Step, { ref = true, pauseMs = PAUSE_MS }: SliceOptions = {}): Promise<void> {
    while (!await this.retry(() => step(stepClock()), { ref })) {
      await sleep(pauseMs, undefined, { ref })
    }
  }
}
