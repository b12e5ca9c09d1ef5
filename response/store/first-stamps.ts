// Writes the first stamp of a tag, unless another process has written one: that may be the stamp of an invalidation.
import type { Claim, StoredEntry } from '../../registry/backend.js'
import type { Deadline } from '../../registry/deadline.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import type { BackendGuard } from './backend-guard.js'
import type { Stored } from './response-to-store.js'

/** How long the first stamp may be under way. */
const LONGEST_MS = 10_000
/** How often it is written again if the store is cleared meanwhile. */
const MOST_ATTEMPTS = 8

export class FirstStamps {
  readonly #guard: BackendGuard
  readonly #make: () => StoredEntry
  /** The stamps that are being written, by key. */
  readonly #underWay = new Map<string, Promise<string | typeof UNAVAILABLE>>()

  /** `make` returns a new stamp. */
  constructor (guard: BackendGuard, make: () => StoredEntry) {
    this.#guard = guard
    this.#make = make
  }

  /** Returns the stamp of a key under which there was none: a new one, or the one that has been written meanwhile. Never rejects. */
  of (key: string, deadline: Deadline): Promise<string | typeof UNAVAILABLE> {
    const there = this.#underWay.get(key)
    if (there !== undefined) return there
    const written = this.#write(key, deadline).finally(() => { this.#underWay.delete(key) })
    this.#underWay.set(key, written)
    return written
  }

  async #write (key: string, deadline: Deadline): Promise<string | typeof UNAVAILABLE> {
    const asked = { operation: 'claim', key, deadline }
    const options = { leaseMs: 0, fillMs: LONGEST_MS }
    // If it is not stored, another stamp has been, or the key was cleared.
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const claim = await this.#guard.ask(asked, (backend) => backend.claim!(key, options), (claim) => claim as Claim)
      if (claim === UNAVAILABLE) return UNAVAILABLE
      if ('entry' in claim) return textOf(claim.entry)
      if (!('token' in claim)) return UNAVAILABLE
      const entry = this.#make()
      const isStored = await new Promise<Stored>((resolve) => {
        if (!this.#guard.writeBehind(key, entry, { token: claim.token, replaces: 0, settled: resolve })) resolve(UNAVAILABLE)
      })
      if (isStored !== false) return isStored === true ? textOf(entry) : UNAVAILABLE
    }
    return UNAVAILABLE
  }
}

function textOf ({ value }: StoredEntry): string {
  return Buffer.from(value).toString('latin1')
}
