// Measures how long the event loop is blocked, and how much of that is our own work and not that of a busy machine.
import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

export interface LoopStalls {
  /** The most processor time that passed between two turns. */
  readonly longestWorkMs: number
  /** The most time that passed between two turns. On a busy machine it depends on other processes. */
  readonly longestPauseMs: number
}

/** Work between two turns must be less than this. */
export const LONGEST_WORK_MS = 50

/** No machine is that busy: something waited for a lock, as SQLite does for 5 s by default. */
export const LONGEST_PAUSE_MS = 1_500

// The nanoseconds that this thread ran on a processor, the nanoseconds that it waited for one, and another number.
const OWN_TIME = `/proc/self/task/${process.pid}/schedstat`

function schedstatMs (field: 0 | 1): number {
  return Number(readFileSync(OWN_TIME, 'latin1').split(' ')[field]) / 1_000_000
}

const ownMs = (): number => schedstatMs(0)

function processMs (): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

function isOwnTimeKnown (): boolean {
  try {
    return ownMs() > 0
  } catch {
    return false
  }
}

/**
 * The processor time of this thread in milliseconds, or that of the process with its helper threads if the system does not tell it.
 */
export const workedMs = isOwnTimeKnown() ? ownMs : processMs

/**
 * How long this thread was ready to run but had no processor, in milliseconds: time taken by a busy machine, not by work or a lock.
 * 0 if the system does not tell it.
 */
export const waitedMs = isOwnTimeKnown() ? () => schedstatMs(1) : () => 0

/** Watches until the returned function is called. The watch keeps the process alive. */
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
    // A stall is noticed in the next turn.
    await wait(5)
    clearInterval(watching)
    return { longestWorkMs, longestPauseMs }
  }
}
