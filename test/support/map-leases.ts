// The leases, the tokens and the versions of the Map backend: a correct, synchronous reference for `claim`, `settle` and `version`.
import { randomUUID } from 'node:crypto'
import type { Claim, ClaimOptions, Settlement, StoredEntry } from '../../registry/backend.js'

/** What is recorded of a key that was claimed. */
export interface LeaseRecord {
  /** Different in each record, so that the tokens of an earlier record of the key are invalid. */
  epoch: string
  /** How many tokens were given out. */
  given: number
  /** The largest number of a token with which an entry was stored. */
  stored: number
  /** The number of the token that has the lease. */
  holder: number
  leaseUntil: number
  aloneUntil: number
  /** When the record is of no use any more. */
  endsAt: number
}

interface Token {
  readonly epoch: string
  readonly number: number
  readonly deadline: number
}

const write = ({ epoch, number, deadline }: Token): string => `${epoch} ${number} ${deadline}`

function read (text: string): Token {
  const [epoch = '', number, deadline] = text.split(' ')
  return { epoch, number: Number(number), deadline: Number(deadline) }
}

const recordsOf = new WeakMap<Map<string, StoredEntry>, Map<string, LeaseRecord>>()

/** Returns the records of the keys of a store. All backends on the same map share them. */
export function leaseRecords (entries: Map<string, StoredEntry>): Map<string, LeaseRecord> {
  const records = recordsOf.get(entries) ?? new Map<string, LeaseRecord>()
  recordsOf.set(entries, records)
  return records
}

/** What happens to the keys of a store by `claim` and `settle`. `now` is the clock of the store and of the caller. */
export class MapLeases {
  readonly #entries: Map<string, StoredEntry>
  readonly #records: Map<string, LeaseRecord>
  readonly #now: () => number

  constructor (entries: Map<string, StoredEntry>, now: () => number) {
    this.#entries = entries
    this.#records = leaseRecords(entries)
    this.#now = now
  }

  claim (key: string, { leaseMs, fillMs, seen, token }: ClaimOptions): Claim {
    if (token !== undefined) return this.#prolong(key, token, leaseMs)
    const now = this.#now()
    const entry = this.#entries.get(key)
    if (entry !== undefined && entry.expiresAt > now && entry.expiresAt !== seen) return { entry }
    const record = this.#record(key) ?? this.#begin(key)
    const takesLease = leaseMs > 0 && record.aloneUntil <= now
    if (takesLease && record.leaseUntil > now) return { busyMs: record.leaseUntil - now }
    const number = ++record.given
    if (takesLease) Object.assign(record, { holder: number, leaseUntil: now + leaseMs })
    record.endsAt = Math.max(record.endsAt, now + fillMs)
    return { token: write({ epoch: record.epoch, number, deadline: now + fillMs }) }
  }

  /** `store` is called if the entry is to be stored. */
  settle (key: string, token: string, { entry, replaces, aloneMs = 0 }: Settlement, store: (entry: StoredEntry) => void): boolean {
    const now = this.#now()
    const { epoch, number, deadline } = read(token)
    const record = this.#record(key)
    if (record === undefined || record.epoch !== epoch || !(deadline > now)) return false
    if (replaces !== undefined && entry !== undefined && replaces !== this.#present(key)) return false
    if (record.holder === number) record.leaseUntil = now
    if (entry === undefined) {
      if (aloneMs > 0) record.aloneUntil = now + aloneMs
      record.endsAt = Math.max(record.endsAt, record.aloneUntil)
      return false
    }
    if (entry.expiresAt <= now || number === record.stored || (number < record.stored && replaces === undefined)) return false
    record.stored = Math.max(record.stored, number)
    store(entry)
    return true
  }

  /** Returns the `expiresAt` of the entry that is there; 0 if there is none. */
  #present (key: string): number {
    const expiresAt = this.#entries.get(key)?.expiresAt ?? 0
    return expiresAt > this.#now() ? expiresAt : 0
  }

  /** Makes all tokens of a key invalid. */
  void (key: string): void {
    this.#records.delete(key)
  }

  /** Makes all tokens invalid of the keys that begin with `prefix`. */
  voidAll (prefix: string): void {
    for (const key of [...this.#records.keys()]) if (key.startsWith(prefix)) this.#records.delete(key)
  }

  #prolong (key: string, token: string, leaseMs: number): Claim {
    const now = this.#now()
    const { epoch, number, deadline } = read(token)
    const record = this.#record(key)
    if (record === undefined) return { busyMs: 0 }
    const isOwn = record.epoch === epoch
    const othersMs = isOwn && record.holder === number ? 0 : Math.max(0, record.leaseUntil - now)
    if (!isOwn || number === record.stored || !(deadline > now) || (leaseMs > 0 && othersMs > 0)) return { busyMs: othersMs }
    if (leaseMs > 0) Object.assign(record, { holder: number, leaseUntil: now + leaseMs, endsAt: Math.max(record.endsAt, now + leaseMs) })
    return { token }
  }

  #record (key: string): LeaseRecord | undefined {
    const record = this.#records.get(key)
    return record !== undefined && record.endsAt > this.#now() ? record : undefined
  }

  #begin (key: string): LeaseRecord {
    const now = this.#now()
    for (const [other, { endsAt }] of this.#records) if (endsAt <= now) this.#records.delete(other)
    const record = { epoch: randomUUID(), given: 0, stored: 0, holder: 0, leaseUntil: 0, aloneUntil: 0, endsAt: 0 }
    this.#records.set(key, record)
    return record
  }
}

const versionsOf = new WeakMap<Map<string, StoredEntry>, Map<string, number>>()

// One count for all stores and names: a store that was emptied goes on from a larger number.
let highest = 0

/** Returns the number under `name`, which all backends on the same map share, after making it larger if `raise` is true. */
export function mapVersion (entries: Map<string, StoredEntry>, name: string, raise = false): number {
  const versions = versionsOf.get(entries) ?? new Map<string, number>()
  versionsOf.set(entries, versions)
  if (raise || !versions.has(name)) versions.set(name, ++highest)
  return versions.get(name)!
}
