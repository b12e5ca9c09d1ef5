// Claims and versions: what processes that share the database agree on. A claim that changes nothing takes no lock.
import type { Claim, ClaimOptions, MaybePromise, StoredEntry } from '../../registry/backend.js'
import { noop } from '../../registry/maybe-promise.js'
import { storedText } from './codec.js'
import type { Connection } from './connection.js'
import type { CacheDatabase } from './database.js'
import type { Disk, Need } from './disk.js'
import { isBusy, isFull } from './driver.js'
import { taken, unwritten } from './lease-rules.js'
import type { TimeSlices } from './time-slices.js'
import type { WriteAheadLog } from './write-ahead-log.js'
import { noRoom } from './write-batch.js'
import { LOG_IS_FULL, type SqliteWriteQueue } from './write-queue.js'

/** Options and dependencies of claims. */
export interface SqliteClaimsOptions {
  readonly database: CacheDatabase
  readonly slices: TimeSlices
  readonly disk: Disk
  readonly writeAheadLog: WriteAheadLog
  readonly writes: SqliteWriteQueue
  readonly now: () => number
  readonly leaseNow: () => number
  /** Finds an entry as `get` does: a pending one, one in the read cache, or one in the table. */
  readonly find: (connection: Connection, key: string) => StoredEntry | undefined
}

/** How many claims are made in one transaction, which blocks the event loop. */
const MOST_AT_ONCE = 200

/** A claim that waits for the end of the turn. */
interface WaitingClaim {
  readonly key: string
  readonly options: ClaimOptions
  readonly resolve: (claim: Claim) => void
  readonly reject: (error: unknown) => void
}

/** Claims and versions of one backend. */
export class SqliteClaims {
  readonly #options: SqliteClaimsOptions
  #waiting: WaitingClaim[] = []

  constructor (options: SqliteClaimsOptions) {
    this.#options = options
  }

  /** Returns the outcome, as the contract describes it: as a promise only if something may have to be written. */
  claim (key: string, options: ClaimOptions): MaybePromise<Claim> {
    const { database, writes } = this.#options
    const claim = (): MaybePromise<Claim> => {
      const known = database.use((connection) => this.#known(connection, key, options))
      if (known !== undefined) return known
      // A pending write would make the token invalid when it is written, although it was called before the claim.
      if (writes.find(key) !== undefined) return writes.flush().catch(noop).then(() => this.claim(key, options))
      return this.#takeSoon(key, options)
    }
    return this.#attempt('claim', claim, 'lease')
  }

  /** Makes the claim at the end of the event loop's turn, in one transaction with the others of this turn. */
  #takeSoon (key: string, options: ClaimOptions): Promise<Claim> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, options, resolve, reject })
      if (this.#waiting.length === 1) setImmediate(() => { this.#takeAll() })
    })
  }

  /** Never rejects: if it fails, the claims reject. */
  async #takeAll (): Promise<void> {
    const claims = this.#waiting.splice(0, MOST_AT_ONCE)
    if (this.#waiting.length > 0) setImmediate(() => { this.#takeAll() })
    try {
      const take = (connection: Connection): Claim[] => {
        if (this.#options.writeAheadLog.isFull()) throw noRoom('claim', LOG_IS_FULL)
        return connection.transact(() => claims.map(({ key, options }) => this.#take(connection, key, options)))
      }
      const outcomes = await this.#attempt('claim', () => this.#options.database.use(take), 'lease')
      claims.forEach(({ resolve }, at) => { resolve(outcomes[at] as Claim) })
    } catch (error) {
      for (const { reject } of claims) reject(error)
    }
  }

  /** Returns the number under `name`. Makes it larger first if `raise`. */
  version (name: string, raise: boolean): MaybePromise<number> {
    const { database } = this.#options
    return this.#attempt('version', () => database.use((connection) => {
      const present = raise ? undefined : connection.counters.read(name)
      return present ?? connection.transact(() => connection.counters.raise(name, raise ? 1 : 0))
    }), 'invalidation')
  }

  /** Returns the outcome of a claim if it is clear that nothing has to be written for it. Takes no lock. */
  #known (connection: Connection, key: string, options: ClaimOptions): Claim | undefined {
    const { find, leaseNow, now, writes } = this.#options
    const { leaseMs, seen, token } = options
    const text = storedText(key)
    const at = leaseNow()
    if (token !== undefined) return unwritten(connection.leases.find(text, at), options, at)
    const busyMs = leaseMs > 0 && writes.find(key) === undefined ? connection.leases.busyMs(text, { at, now: now(), seen }) : 0
    if (busyMs > 0) return { busyMs }
    const entry = find(connection, key)
    if (entry === undefined || entry.expiresAt === seen) return undefined
    // Whoever has waited for this entry reads the stamps of its tags next.
    connection.noticeOthers()
    return { entry }
  }

  /** Makes a claim. Called inside a transaction. */
  #take (connection: Connection, key: string, options: ClaimOptions): Claim {
    const text = storedText(key)
    const entry = options.token === undefined ? this.#unseen(connection, text, options) : undefined
    if (entry !== undefined) return { entry }
    const at = this.#options.leaseNow()
    const before = connection.leases.find(text, at)
    const known = unwritten(before, options, at)
    if (known !== undefined) return known
    const { lease, token } = taken(before, options, at)
    connection.leases.write(text, lease)
    return { token }
  }

  /** Returns the entry in the table, unless the caller has seen it. Reads the value only then. */
  #unseen (connection: Connection, key: string, { seen }: ClaimOptions): StoredEntry | undefined {
    const at = this.#options.now()
    const expiresAt = connection.sql.expiresAt.get(key) as number | undefined
    if (expiresAt === undefined || !(expiresAt > at) || expiresAt === seen) return undefined
    const row = connection.findNow(key, at)
    return row && { value: row.value, expiresAt: row.expiresAt }
  }

  /** Returns the result of `work`. Waits, without blocking the event loop, while the database is locked or until there is room. */
  #attempt<T> (operation: string, work: () => MaybePromise<T>, need: Need): MaybePromise<T> {
    try {
      return work()
    } catch (error) {
      if (!isBusy(error) && !isFull(error)) throw error
    }
    return this.#persist(operation, work, need)
  }

  async #persist<T> (operation: string, work: () => MaybePromise<T>, need: Need): Promise<T> {
    const { disk, slices } = this.#options
    try {
      return await disk.withRoom(async () => await slices.retry(work), () => need)
    } catch (error) {
      throw isFull(error) ? noRoom(operation, (error as Error).message, error) : error
    }
  }
}
