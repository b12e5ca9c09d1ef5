// Removes expired entries from a store of bytes that does not remove them itself: those that reads find, and others in a background task.
import { setTimeout as sleep } from 'node:timers/promises'
import type { StoredEntry } from '../backend.js'
import { CACHE_ERR_CLOSED } from '../errors.js'
import type { BoundedCalls } from './bounded-calls.js'
import type { ByteStore } from './byte-store.js'
import type { ByteScan } from './scan.js'

/** Options and dependencies of `ByteMaintenance`. */
export interface ByteMaintenanceOptions {
  readonly store: ByteStore
  readonly calls: BoundedCalls
  readonly now: () => number
  /** Returns the entry of a key, even if it has expired. */
  readonly find: (key: string) => Promise<StoredEntry | undefined>
  /** Removes the entry of a key. */
  readonly deleteKey: (key: string) => Promise<void>
}

const SWEPT_AT_ONCE = 20
const SWEEP_PAUSE_MS = 5
// The most damaged items that are remembered from one sweep to the next.
const MOST_DAMAGED = 10_000

export class ByteMaintenance {
  readonly #options: ByteMaintenanceOptions
  /** The running checks of entries that may have expired, by key. A write to a key cancels the check of that key. */
  readonly #checks = new Map<string, object>()
  /** The names of items that the last sweep found damaged. Some of them may have been only half written at that time. */
  #damaged = new Set<string>()

  constructor (options: ByteMaintenanceOptions) {
    this.#options = options
  }

  /** Called before each write to a key. */
  noteWrite (key: string): void {
    this.#checks.delete(key)
  }

  /** Removes the entry under `key` if it has expired. A write to the key cancels this removal and does not wait for it. */
  async removeExpired (key: string): Promise<void> {
    const { calls, find, deleteKey, now } = this.#options
    if (this.#checks.has(key) || calls.isWriting(key)) return
    const check = {}
    this.#checks.set(key, check)
    try {
      const entry = await find(key)
      if (entry !== undefined && entry.expiresAt <= now() && this.#checks.get(key) === check) await deleteKey(key)
    } finally {
      if (this.#checks.get(key) === check) this.#checks.delete(key)
    }
  }

  /** Runs as a background task. Removes expired entries, and items that were damaged in two sweeps in a row. Pauses now and then. */
  async sweep (scan: ByteScan): Promise<void> {
    const { store, calls, now } = this.#options
    const damaged = new Set<string>()
    try {
      let looked = 0
      for await (const { name, head } of scan.walk('sweep', true)) {
        if (head !== undefined && head.expiresAt <= now()) await this.removeExpired(head.key)
        if (head === undefined && this.#damaged.has(name)) await calls.run('delete', () => store.delete(name))
        else if (head === undefined && damaged.size < MOST_DAMAGED) damaged.add(name)
        if (++looked % SWEPT_AT_ONCE === 0) await sleep(SWEEP_PAUSE_MS)
      }
    } catch (error) {
      if (!(error instanceof CACHE_ERR_CLOSED)) throw error
    }
    this.#damaged = damaged
  }
}
