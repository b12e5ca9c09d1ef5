// A clock that stands still until it is told to move.
import { setImmediate as turn } from 'node:timers/promises'

export interface TestClock {
  /** Epoch milliseconds. */
  now (): number
  /** Moves the clock on; settles after the event loop has turned once. */
  pass (ms: number): Promise<void>
}

/** A clock that can be set, as an operator sets a system's. */
export interface JumpyClock extends TestClock {
  /** Sets the clock on or back, and turns nothing. */
  jump (ms: number): void
}

/** Any instant that is neither zero nor the real one, so that nobody confuses the two. */
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
