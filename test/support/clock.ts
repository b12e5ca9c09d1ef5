// A clock that advances only when a test advances it.
import { setImmediate as turn } from 'node:timers/promises'

export interface TestClock {
  /** Epoch milliseconds. */
  now (): number
  /** Advances the clock, and resolves after one turn of the event loop. */
  pass (ms: number): Promise<void>
}

/** A clock that can be set, like a system's clock by an operator. */
export interface JumpyClock extends TestClock {
  /** Sets the clock forward or back, without a turn. */
  jump (ms: number): void
}

/** Any instant that is neither zero nor the real one, so that they can't be confused. */
const START_AT = Date.UTC(2031, 4, 6, 7, 8, 9, 10)

export function testClock (startAt = START_AT): JumpyClock {
  let at = startAt
  return {
    now: () => at,
    async pass (ms) {
      at += ms
      await turn()
    },
    jump (ms) { at += ms }
  }
}
