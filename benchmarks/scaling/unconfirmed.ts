// What a near tier remembers while the store is away: the changes that the store did not confirm. The rules are those of
// backends/tiered/write-queue.ts: until the store has deleted the entry, the process does not read it there.
import type { Agenda } from './agenda.js'
import { RETRIES, RETRY_MS } from './settings.js'

export interface Tier {
  readonly isWell: () => boolean
  /** Deletes in the store. Returns whether the store has confirmed it. */
  readonly remove: (place: number) => boolean
}

export class Unconfirmed {
  readonly #agenda: Agenda
  readonly #tier: Tier
  readonly #places = new Set<number>()
  #isRetrying = false

  constructor (agenda: Agenda, tier: Tier) {
    this.#agenda = agenda
    this.#tier = tier
  }

  has (place: number): boolean {
    return this.#places.size > 0 && this.#places.has(place)
  }

  /** Called when a later change of the same place was confirmed. */
  forget (place: number): void {
    if (this.#places.size > 0) this.#places.delete(place)
  }

  note (place: number): void {
    this.#places.add(place)
    if (!this.#isRetrying) this.#retryLater()
  }

  #retryLater (): void {
    this.#isRetrying = true
    this.#agenda.after(RETRY_MS, () => {
      // While the tier is paused, one of them tells whether it is there again.
      for (const place of [...this.#places].slice(0, this.#tier.isWell() ? RETRIES : 1)) {
        if (this.#tier.remove(place)) this.#places.delete(place)
      }
      this.#isRetrying = false
      if (this.#places.size > 0) this.#retryLater()
    })
  }
}
