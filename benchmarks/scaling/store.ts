// The store of the simulation. It follows the rules of backends/redis/scripts.ts: leases and tokens lie in the record of the key.
import type { Agenda } from './agenda.js'
import type { Tally } from './tally.js'

/** The store is away, or a process does not call it because it was away. */
export const AWAY = Symbol('away')

/** A stored response: the time at which its handler read the data, the stamp of its tag, and when it expires. */
export interface Entry { readonly readAt: number, readonly stamp: number, readonly expiresAt: number }

/** A stamp of a tag. `version` is the number of the invalidation that made it. */
export interface Stamp { readonly id: number, readonly version: number }

/** The right to store an entry. */
export interface Token { readonly epoch: number, readonly number: number }

/** What a claim comes to. */
export type Claimed = { readonly token: Token } | { readonly entry: Entry } | { readonly busyMs: number }

/** What lies under a key. Records are replaced and not changed, so that a copy of the map is a copy of the store. */
interface KeyRecord {
  readonly epoch: number
  readonly given: number
  readonly stored: number
  readonly holder: number
  readonly leaseUntil: number
  readonly entry: Entry | undefined
}

/** The tag of the key that is requested most often. */
const MOST_POPULAR = 0

interface Contents { readonly records: Map<number, KeyRecord>, readonly stamps: Map<number, Stamp> }

export class Store {
  isAway = false
  readonly #agenda: Agenda
  readonly #tally: Tally
  #contents: Contents = { records: new Map(), stamps: new Map() }
  #epochs = 0
  #stamps = 0
  #version = 0

  constructor (agenda: Agenda, tally: Tally) {
    this.#agenda = agenda
    this.#tally = tally
  }

  get (key: number): Entry | undefined {
    const entry = this.#fresh(this.#contents.records.get(key))
    this.#tally.count(entry === undefined ? 'miss' : 'hit')
    return entry
  }

  /** Returns the stamp of a tag, with so many reads. */
  stamp (tag: number, reads: number): Stamp | undefined {
    this.#tally.count('stamp', reads)
    if (tag === MOST_POPULAR) this.#tally.count('popularStamp')
    return this.#contents.stamps.get(tag)
  }

  /** Gives out a token, unless another one has the lease, or an entry is there other than the one that was `seen`. */
  claim (key: number, { leaseMs, seen }: { leaseMs: number, seen: number | undefined }): Claimed {
    const { now } = this.#agenda
    const record = this.#contents.records.get(key)
    const entry = this.#fresh(record)
    if (entry !== undefined && entry.expiresAt !== seen) {
      this.#tally.count('quicker')
      return { entry }
    }
    if (leaseMs > 0 && record !== undefined && record.leaseUntil > now) {
      this.#tally.count('busy')
      return { busyMs: record.leaseUntil - now }
    }
    this.#tally.count('claim')
    const epoch = record?.epoch ?? ++this.#epochs
    const number = (record?.given ?? 0) + 1
    const lease = leaseMs > 0
      ? { holder: number, leaseUntil: now + leaseMs }
      : { holder: record?.holder ?? 0, leaseUntil: record?.leaseUntil ?? 0 }
    this.#contents.records.set(key, { epoch, given: number, stored: record?.stored ?? 0, entry: record?.entry, ...lease })
    return { token: { epoch, number } }
  }

  /** Makes the lease of a token end later. Returns whether it did: not if the token is invalid, or somebody else has the lease. */
  renew (key: number, token: Token, leaseMs: number): boolean {
    this.#tally.count('renew')
    const record = this.#valid(key, token)
    const { now } = this.#agenda
    if (record === undefined || record.stored === token.number) return false
    if (record.leaseUntil > now && record.holder !== token.number) return false
    this.#contents.records.set(key, { ...record, holder: token.number, leaseUntil: now + leaseMs })
    return true
  }

  /** Stores an entry for a token and ends its lease. Returns whether the entry was stored. */
  settle (key: number, token: Token, entry: Entry): boolean {
    this.#tally.count('settle')
    const record = this.#valid(key, token)
    if (record === undefined) return false
    const free = record.holder === token.number ? { ...record, holder: 0, leaseUntil: 0 } : record
    const isLatest = token.number > record.stored
    this.#contents.records.set(key, isLatest ? { ...free, stored: token.number, entry } : free)
    return isLatest
  }

  /** Ends the lease of a token without an entry. */
  release (key: number, token: Token): void {
    this.#tally.count('release')
    const record = this.#valid(key, token)
    if (record?.holder === token.number) this.#contents.records.set(key, { ...record, holder: 0, leaseUntil: 0 })
  }

  /** Stores an entry without a token, and makes all tokens of the key invalid. */
  set (key: number, entry: Entry): void {
    this.#tally.count('set')
    this.#contents.records.set(key, { epoch: ++this.#epochs, given: 0, stored: 0, holder: 0, leaseUntil: 0, entry })
  }

  remove (key: number): void {
    this.#tally.count('remove')
    this.#contents.records.delete(key)
  }

  removeStamp (tag: number): void {
    this.#tally.count('remove')
    this.#contents.stamps.delete(tag)
  }

  /** Writes a new stamp of a tag: both of its stamps are written, of which the simulation needs one. `version` is 0 for a first stamp. */
  renewStamp (tag: number, version: number): Stamp {
    this.#tally.count('setStamp', 2)
    const stamp = { id: ++this.#stamps, version }
    this.#contents.stamps.set(tag, stamp)
    return stamp
  }

  /** Returns the number of the last invalidation by tag, after making it larger with `isRaised`. */
  version (isRaised: boolean): number {
    this.#tally.count('version')
    if (isRaised) this.#version++
    return this.#version
  }

  /** Returns a copy of what is stored. The number of the last invalidation is never lost, because it begins with the store's time. */
  copy (): Contents {
    return { records: new Map(this.#contents.records), stamps: new Map(this.#contents.stamps) }
  }

  /** Replaces what is stored, after a failover. No lease has survived it. */
  replaceBy ({ records, stamps }: Contents): void {
    const free = [...records].map(([key, record]) => [key, { ...record, holder: 0, leaseUntil: 0 }] as const)
    this.#contents = { records: new Map(free), stamps }
  }

  #fresh (record: KeyRecord | undefined): Entry | undefined {
    const entry = record?.entry
    return entry !== undefined && entry.expiresAt > this.#agenda.now ? entry : undefined
  }

  #valid (key: number, token: Token): KeyRecord | undefined {
    const record = this.#contents.records.get(key)
    return record?.epoch === token.epoch && token.number <= record.given ? record : undefined
  }
}
