// How work is spread out: steps of a few milliseconds, and patience while another process holds the lock.
import { setTimeout as sleep } from 'node:timers/promises'
import { isBusy } from './driver.js'

/** How long one step may keep the event loop. */
const STEP_MS = 4

// Between two steps the loop has its turn, and other processes find the lock free. setImmediate would leave them microseconds.
const PAUSE_MS = 1

/** How long work is tried again that finds the database locked. */
const PATIENCE_MS = 5_000

const FIRST_WAIT_MS = 2
const LONGEST_WAIT_MS = 25

/** Does as much as it has time for. Returns whether nothing is left to do. */
export type Step = (hasTime: () => boolean) => boolean

/** How work is waited for. */
export interface SliceOptions {
  /** Whether a wait keeps the process alive. */
  ref?: boolean
  /** How long the loop has its turn between two steps. */
  pauseMs?: number
}

/** A clock for one step that begins now. */
export function stepClock (): () => boolean {
  const endsAt = performance.now() + STEP_MS
  return () => performance.now() < endsAt
}

/** The waits of one backend, which all end soon once it closes. */
export class TimeSlices {
  #endsAt = Infinity

  /** From now on nothing is tried again for longer than this. */
  endWithin (ms: number): void {
    this.#endsAt = performance.now() + ms
  }

  /** What `work` returns, tried again while the database is locked. Throws what the driver threw last. */
  async retry<T> (work: () => T, { ref = true }: SliceOptions = {}): Promise<T> {
    const deadline = performance.now() + PATIENCE_MS
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
      try {
        return work()
      } catch (error) {
        if (!isBusy(error) || performance.now() > Math.min(deadline, this.#endsAt)) throw error
      }
      // Two processes that wait for each other's lock must not stay in step.
      await sleep(waitMs * (0.5 + Math.random()), undefined, { ref })
    }
  }

  /** Takes `step` again until nothing is left to do. */
  async steps (step: Step, { ref = true, pauseMs = PAUSE_MS }: SliceOptions = {}): Promise<void> {
    while (!await this.retry(() => step(stepClock()), { ref })) {
      await sleep(pauseMs, undefined, { ref })
    }
  }
}
