// What a near tier remembers while the store is away: the changes that the store did not confirm. The rules are those of
// backends/tiered/write-queue.ts: until the store has deleted the entry, the process does not read it there.
import type { Agenda } from './agenda.js'
import { RETRY_MS } from './settings.js'

export class Unconfirmed {
  readonly #agenda: Agenda
  /** Deletes in the store. Returns whether the store has confirmed it. */
  readonly #remove: (place: number) => boolean
  readonly #places = new Set<number>()

  constructor (agenda: Agenda, remove: (place: number) => boolean) {
    this.#agenda = agenda
    this.#remove = remove
  }

  has (place: number): boolean {
    return this.#places.size > 0 && this.#places.has(place)
  }

  note (place: number): void {
    if (this.#places.size === 0) this.#retryLater()
    this.#places.add(place)
  }

  #retryLater (): void {
    this.#agenda.after(RETRY_MS, () => {
      for (const place of this.#places) if (this.#remove(place)) this.#places.delete(place)
      if (this.#places.size > 0) this.#retryLater()
    })
  }
}
