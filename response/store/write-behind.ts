// Writes fills to the backend in the background. Few are sent at once, so that an explicit change never waits for many of them.
import type { StoredEntry } from '../../registry/backend.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'

/**
 * Limit on concurrent writes. A backend that makes one write at a time needs 1.6 s for 32 writes of 50 ms, and an invalidation that waits
 * behind them must be done within 2 s.
 */
const MOST_UNDER_WAY = 32
const LONGEST_WAIT_MS = 1_000
const MOST_WAITING = 1_000
const MOST_WAITING_BYTES = 64 * 1024 * 1024

/** The error of an entry that waited too long. */
export const WAITED = new Error('the entry waited too long for its turn, and is not stored')

/** The claim with which an entry is stored: the backend stores it only if the token is still valid. */
export interface ClaimToSettle {
  readonly token: string
  /** See `Settlement`. */
  readonly replaces: number | undefined
  /** Called with the outcome: whether the entry was stored, or UNAVAILABLE if that is not known. */
  readonly settled: (outcome: boolean | typeof UNAVAILABLE) => void
}

/** An entry to be written. Without a claim, it is stored in any case. */
export interface EntryToWrite { readonly entry: StoredEntry, readonly claim?: ClaimToSettle | undefined }

/** What reads find of an entry that is not written yet: the entry, or a promise of it if only the backend can say whether it is stored. */
export type Readable = StoredEntry | Promise<StoredEntry | undefined>

interface Write extends EntryToWrite { readonly readable: Readable }
interface Waiting extends Write { readonly until: number }

export interface WriteBehindOptions {
  /**
   * Passes an entry to the backend. Returns whether the backend took it, or a promise that settles with the write. Never throws or rejects.
   */
  readonly send: (key: string, write: EntryToWrite) => Promise<unknown> | boolean
  /** Called for an entry that waited too long and is not stored. */
  readonly dropped: (key: string) => void
  /** Returns the milliseconds of a clock that never jumps. @default performance.now */
  readonly now?: () => number
}

/**
 * Writes the entries of fills to one backend. Until an entry is written, reads find it here; if only the backend can say whether it may be
 * stored, they wait for that. An explicit change of a key makes reads no longer find it, and drops it if it waits.
 */
export class WriteBehind {
  readonly #options: WriteBehindOptions
  readonly #now: () => number
  readonly #waiting = new Map<string, Waiting>()
  /** The entries that wait or are being written, by key: what reads find. */
  readonly #readable = new Map<string, Readable>()
  #bytes = 0
  #underWay = 0

  constructor (options: WriteBehindOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** Whether every entry has been written. */
  get isEmpty (): boolean {
    return this.#readable.size === 0
  }

  /**
   * Returns the entry that waits to be stored under `key` or is being stored there; undefined if there is none. With a claim, a promise of
   * it, which resolves to undefined if the entry was not stored.
   */
  find (key: string): Readable | undefined {
    return this.#readable.get(key)
  }

  /** Stores an entry now or later. Returns false if the backend did not take it, or if too many entries wait. */
  put (key: string, entry: StoredEntry, claim?: ClaimToSettle): boolean {
    this.drop(key)
    const write = claim === undefined ? { entry, readable: entry } : settling(entry, claim)
    if (this.#underWay < MOST_UNDER_WAY) return this.#begin(key, write)
    const until = this.#now() + LONGEST_WAIT_MS
    this.#dropOld()
    if (this.#waiting.size >= MOST_WAITING || this.#bytes + entry.value.byteLength > MOST_WAITING_BYTES) return false
    this.#waiting.set(key, { ...write, until })
    this.#readable.set(key, write.readable)
    this.#bytes += entry.value.byteLength
    return true
  }

  /** Drops the waiting entry of `key`, if there is one. If an entry is being written, reads no longer find it here. */
  drop (key: string): void {
    this.#readable.delete(key)
    this.#take(key)?.claim?.settled(false)
  }

  /** Does the same for all keys that begin with `prefix`. */
  dropAll (prefix: string): void {
    for (const key of [...this.#readable.keys()]) if (key.startsWith(prefix)) this.drop(key)
  }

  /** Sends all waiting entries to the backend. */
  flush (): void {
    for (const key of [...this.#waiting.keys()]) this.#beginWaiting(key)
  }

  /** Removes the waiting entry of a key, and returns it. */
  #take (key: string): Waiting | undefined {
    const found = this.#waiting.get(key)
    if (found === undefined) return undefined
    this.#waiting.delete(key)
    this.#bytes -= found.entry.value.byteLength
    return found
  }

  #begin (key: string, write: Write): boolean {
    const { readable } = write
    const sent = this.#options.send(key, write)
    if (!(sent instanceof Promise)) return sent
    this.#underWay++
    this.#readable.set(key, readable)
    sent.then(() => {
      this.#underWay--
      if (this.#readable.get(key) === readable) this.#readable.delete(key)
      this.#next()
    })
    return true
  }

  #beginWaiting (key: string): void {
    const write = this.#take(key) as Waiting
    this.#readable.delete(key)
    if (!this.#begin(key, write)) write.claim?.settled(UNAVAILABLE)
  }

  #next (): void {
    this.#dropOld()
    for (const key of this.#waiting.keys()) {
      if (this.#underWay >= MOST_UNDER_WAY) return
      this.#beginWaiting(key)
    }
  }

  #dropOld (): void {
    const at = this.#now()
    for (const [key, { until }] of this.#waiting) {
      if (until > at) return
      this.#take(key)?.claim?.settled(UNAVAILABLE)
      this.#readable.delete(key)
      this.#options.dropped(key)
    }
  }
}

/** Returns the write of an entry that the backend may refuse. Reads find the entry once the backend has stored it. */
function settling (entry: StoredEntry, claim: ClaimToSettle): Write {
  let settle!: (entry: StoredEntry | undefined) => void
  const readable = new Promise<StoredEntry | undefined>((resolve) => { settle = resolve })
  const settled: ClaimToSettle['settled'] = (outcome) => {
    settle(outcome === true ? entry : undefined)
    claim.settled(outcome)
  }
  return { entry, readable, claim: { ...claim, settled } }
}
