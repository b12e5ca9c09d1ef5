// A batch of pending writes, which one transaction or a few commit together.
import type { Settlement, StoredEntry } from '../../registry/backend.js'
import { CACHE_ERR_BACKEND_FAILED } from '../../registry/errors.js'
import { Deferred, noop } from '../../registry/maybe-promise.js'
import { refusal } from '../../registry/refusal.js'
import { isFull } from './driver.js'

/** A write to a key. `entry` is undefined if the write deletes the key. */
export interface SqliteWrite {
  readonly key: string
  readonly entry: StoredEntry | undefined
  readonly bytes: number
}

/** A settlement. Whether its entry is stored is decided when it is written. */
export interface SqliteSettle {
  readonly key: string
  readonly token: string
  readonly settlement: Settlement
  readonly bytes: number
  readonly resolve: (isStored: boolean) => void
  readonly reject: (error: unknown) => void
}

/**
 * Pending writes and settlements. The writes are carried out before the settlements: a write makes the tokens of its key invalid, whether
 * the settlement was called before it or after it.
 */
export class WriteBatch {
  readonly writes = new Map<string, SqliteWrite>()
  readonly settles = new Set<SqliteSettle>()
  /** The promise of the sets. They may be refused although the deletes are carried out. */
  readonly stored = new Deferred()
  /** The promise of the deletes, and of the batch as a whole. */
  readonly done = new Deferred()

  constructor () {
    // Callers may ignore these promises, so a rejection must not count as unhandled.
    for (const { promise } of [this.stored, this.done]) promise.catch(noop)
  }

  get size (): number {
    return this.writes.size + this.settles.size
  }

  get bytes (): number {
    let sum = 0
    for (const { bytes } of [...this.writes.values(), ...this.settles]) sum += bytes
    return sum
  }

  get hasDeletes (): boolean {
    return [...this.writes.values()].some(({ entry }) => entry === undefined)
  }

  /**
   * Rejects the sets and turns them into deletes, because the old entries are out of date. Rejects the settlements with entries, and lets
   * them only give back their leases. Returns whether there were any of both.
   */
  refuseSets (error: unknown, why = (error as Error).message): boolean {
    const sets = [...this.writes.values()].filter(({ entry }) => entry !== undefined)
    for (const write of sets) this.writes.set(write.key, { ...write, entry: undefined })
    if (sets.length > 0) this.stored.reject(error)
    const settles = [...this.settles].filter(({ settlement }) => settlement.entry !== undefined)
    for (const settle of settles) {
      settle.reject(noRoom('settle', why, error))
      this.settles.delete(settle)
      this.settles.add({ ...settle, settlement: {} })
    }
    return sets.length + settles.length > 0
  }

  resolve (): void {
    this.stored.resolve()
    this.done.resolve()
  }

  reject (error: unknown): void {
    this.stored.reject(error)
    this.done.reject(error)
    const reason = isFull(error) ? noRoom('settle', (error as Error).message, error) : error
    for (const { reject } of this.settles) reject(reason)
  }
}

/** Returns the error of an operation for which there is no room. It is a refusal, because entries can still be read. */
export function noRoom (operation: string, why: string, cause?: unknown): Error {
  return refusal(new CACHE_ERR_BACKEND_FAILED('sqlite', operation, why, { cause }))
}
