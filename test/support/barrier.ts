// A barrier: code under test stops at it until the test opens it, so that an interleaving is forced.
import { setImmediate as turn } from 'node:timers/promises'

export class Barrier {
  /** How many calls have arrived since it was made. */
  arrived = 0
  #isOpen = false
  readonly #stopped: Array<() => void> = []
  readonly #watchers: Array<{ readonly count: number, readonly resolve: () => void }> = []

  /** For the code under test: waits until the barrier is opened. */
  async pass (): Promise<void> {
    this.arrived++
    for (const { count, resolve } of this.#watchers) if (this.arrived >= count) resolve()
    if (!this.#isOpen) await new Promise<void>((resolve) => this.#stopped.push(resolve))
  }

  /** For the test: resolves once `count` calls have arrived, even if some were let go since. */
  async reached (count = 1): Promise<void> {
    if (this.arrived < count) await new Promise<void>((resolve) => this.#watchers.push({ count, resolve }))
  }

  /** How many calls wait at it. */
  get waiting (): number {
    return this.#stopped.length
  }

  /** Lets go all waiting calls in the order in which they arrived, and all later ones. */
  open (): void {
    this.#isOpen = true
    this.letGo(Infinity)
  }

  /** Lets go the call that arrived last. */
  letGoLast (): void {
    this.#stopped.pop()?.()
  }

  /** Lets go the first `count` waiting calls. */
  letGo (count = 1): void {
    for (const go of this.#stopped.splice(0, Math.min(count, this.#stopped.length))) go()
  }
}

/** Lets everything happen that needs only turns of the event loop. */
export async function turns (count = 20): Promise<void> {
  for (let at = 0; at < count; at++) await turn()
}

const LONGEST_WAIT_MS = 10_000

/** Waits, turn by turn, until `holds` returns true. Throws after `longestMs`, which is ten seconds by default. */
export async function until (holds: () => unknown, longestMs = LONGEST_WAIT_MS): Promise<void> {
  const endsAt = performance.now() + longestMs
  while (await holds() !== true) {
    if (performance.now() > endsAt) throw new Error(`still waiting for ${holds.toString()}`)
    await turn()
  }
}
