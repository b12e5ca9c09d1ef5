// Watches how long the event loop is kept, and how much of that is our own work and not a busy machine's.
import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

export interface LoopStalls {
  /** The most processor time that passed between two turns. */
  readonly longestWorkMs: number
  /** The most time that passed between two turns. On a busy machine that is a matter of luck. */
  readonly longestPauseMs: number
}

/** Work between two turns is kept below this. */
export const LONGEST_WORK_MS = 50

/** No machine is as busy as that: something waited for a lock, as SQLite does for 5 s unless told otherwise. */
export const LONGEST_PAUSE_MS = 1_500

// Nanoseconds that this thread was on a processor, those that it waited for one, and one more number.
const OWN_TIME = `/proc/self/task/${process.pid}/schedstat`

function schedstatMs (field: 0 | 1): number {
  return Number(readFileSync(OWN_TIME, 'latin1').split(' ')[field]) / 1_000_000
}

const ownMs = (): number => schedstatMs(0)

function processMs (): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

function isOwnTimeTold (): boolean {
  try {
    return ownMs() > 0
  } catch {
    return false
  }
}

/**
 * The processor time of this thread, in milliseconds; that of the process, with the threads that help it, where the system says no more.
 */
export const workedMs = isOwnTimeTold() ? ownMs : processMs

/**
 * How long this thread could have worked and was given no processor, in milliseconds: what a busy machine takes, and neither work nor a
 * lock. 0 where the system doesn't say.
 */
export const waitedMs = isOwnTimeTold() ? () => schedstatMs(1) : () => 0

/** Watches until the answer is called. The watch keeps the process alive. */
export function watchLoop (): () => Promise<LoopStalls> {
  let longestWorkMs = 0
  let longestPauseMs = 0
  let at = performance.now()
  let worked = workedMs()
  const look = (): void => {
    longestWorkMs = Math.max(longestWorkMs, workedMs() - worked)
    longestPauseMs = Math.max(longestPauseMs, performance.now() - at)
    at = performance.now()
    worked = workedMs()
  }
  const watching = setInterval(look, 1)
  return async () => {
    // A stall is noticed when the loop turns again.
    await wait(5)
    clearInterval(watching)
    return { longestWorkMs, longestPauseMs }
  }
}
