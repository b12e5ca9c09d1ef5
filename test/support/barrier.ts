// A barrier: code under test stops at it until the test lets it go on, so that an interleaving is forced and not hoped for.
import { setImmediate as turn } from 'node:timers/promises'

export class Barrier {
  /** How many came to it since it was made. */
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

  /** For the test: settles when `count` have come to it, however many of them were let go since. */
  async reached (count = 1): Promise<void> {
    if (this.arrived < count) await new Promise<void>((resolve) => this.#watchers.push({ count, resolve }))
  }

  /** How many stand at it. */
  get waiting (): number {
    return this.#stopped.length
  }

  /** Lets go those who stand at it, in the order in which they came, and all who come later. */
  open (): void {
    this.#isOpen = true
    this.letGo(Infinity)
  }

  /** Lets go the first `count` of those who stand at it. */
  letGo (count = 1): void {
    for (const go of this.#stopped.splice(0, Math.min(count, this.#stopped.length))) go()
  }
}

/** Lets everything happen that needs no more than turns of the event loop. */
export async function turns (count = 20): Promise<void> {
  for (let at = 0; at < count; at++) await turn()
}

const LONGEST_WAIT_MS = 10_000

/** Waits, turn by turn, until it `holds`. Throws after `longestMs`, ten seconds unless told otherwise. */
export async function until (holds: () => unknown, longestMs = LONGEST_WAIT_MS): Promise<void> {
  const endsAt = performance.now() + longestMs
  while (await holds() !== true) {
    if (performance.now() > endsAt) throw new Error(`still waiting for ${holds.toString()}`)
    await turn()
  }
}
