// Queues writes, and gathers them into batches, so that one transaction contains many. Reads look into this queue before they ask SQLite.
import type { Settlement, StoredEntry } from '../../registry/backend.js'
import { CACHE_ERR_BACKEND_FAILED } from '../../registry/errors.js'
import { noop } from '../../registry/maybe-promise.js'
import type { Connection } from './connection.js'
import type { Disk, Need } from './disk.js'
import { isFull } from './driver.js'
import type { CacheDatabase } from './database.js'
import { storedText } from './codec.js'
import { settled } from './lease-rules.js'
import { stepClock, type TimeSlices } from './time-slices.js'
import type { WriteAheadLog } from './write-ahead-log.js'
import { WriteBatch, type SqliteSettle, type SqliteWrite } from './write-batch.js'

/** Options and dependencies of the queue. */
export interface SqliteWriteQueueOptions {
  readonly slices: TimeSlices
  readonly now: () => number
  readonly leaseNow: () => number
  readonly database: CacheDatabase
  readonly disk: Disk
  readonly writeAheadLog: WriteAheadLog
  /** Called after a batch was written, before it settles. */
  readonly afterBatch: () => Promise<void>
}

// If few writes are pending, they wait this long for more. If many are pending, they are written at the end of the event loop's turn.
const GATHER_MS = 2
const MANY_WRITES = 32
const MANY_BYTES = 1024 * 1024

// If more bytes than this are pending, `put` writes synchronously, because a loop that never awaits `set` would never let timers run.
const INLINE_BYTES = 8 * 1024 * 1024
const MAX_WAITING_BYTES = 64 * 1024 * 1024
const WRITE_OVERHEAD_BYTES = 200

const TOO_MANY = 'too many writes are waiting for the database'

/** Why writes are refused while the log can't be emptied. */
export const LOG_IS_FULL =
  'the write-ahead log is longer than maxBytes, since another process keeps a read transaction on the file open; end that'

interface Ended {
  readonly settle: SqliteSettle
  readonly isStored: boolean
}

/** Keeps the pending writes in batches. A batch contains only the last write to each key. */
export class SqliteWriteQueue {
  readonly #options: SqliteWriteQueueOptions
  readonly #listeners = new Set<(key: string) => void>()
  #gathering: WriteBatch | undefined
  #flushing: WriteBatch | undefined
  #draining = false
  #immediate: NodeJS.Immediate | undefined
  #timer: NodeJS.Timeout | undefined
  #bytes = 0

  constructor (options: SqliteWriteQueueOptions) {
    this.#options = options
  }

  /** How many writes are pending. */
  get waiting (): number {
    return (this.#gathering?.size ?? 0) + (this.#flushing?.size ?? 0)
  }

  /** Returns the last pending write to `key`. Pending settlements are not found, because they may turn out to be invalid. */
  find (key: string): SqliteWrite | undefined {
    return this.#gathering?.writes.get(key) ?? this.#flushing?.writes.get(key)
  }

  /** Adds a write, which replaces a pending write to the same key. Settles when the write is committed. */
  put (key: string, entry: StoredEntry | undefined): Promise<void> {
    const bytes = key.length * 2 + (entry?.value.byteLength ?? 0) + WRITE_OVERHEAD_BYTES
    const batch = this.#gathering ??= new WriteBatch()
    const grownBy = bytes - (batch.writes.get(key)?.bytes ?? 0)
    if (this.#isTooMuch(grownBy)) return Promise.reject(new CACHE_ERR_BACKEND_FAILED('sqlite', 'set', TOO_MANY))
    batch.writes.set(key, { key, entry, bytes })
    this.#grow(grownBy)
    return (entry === undefined ? batch.done : batch.stored).promise
  }

  /** Adds a settlement. Resolves to whether its entry was stored, when that is committed. */
  settle (key: string, token: string, settlement: Settlement): Promise<boolean> {
    const bytes = key.length * 2 + (settlement.entry?.value.byteLength ?? 0) + WRITE_OVERHEAD_BYTES
    if (this.#isTooMuch(bytes)) return Promise.reject(new CACHE_ERR_BACKEND_FAILED('sqlite', 'settle', TOO_MANY))
    const batch = this.#gathering ??= new WriteBatch()
    const outcome = new Promise<boolean>((resolve, reject) => {
      batch.settles.add({ key, token, settlement, bytes, resolve, reject })
    })
    outcome.catch(noop)
    this.#grow(bytes)
    return outcome
  }

  /** Turns pending sets of keys that begin with `prefix` into deletes. */
  clear (prefix: string): void {
    for (const batch of [this.#flushing, this.#gathering]) {
      for (const { key, entry } of [...batch?.writes.values() ?? []]) {
        if (entry !== undefined && key.startsWith(prefix)) this.put(key, undefined)
      }
    }
  }

  /** Calls `listener` with the key of each entry that is committed from now on. Returns a function that removes the listener. */
  onCommitted (listener: (key: string) => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  /** Writes everything that is pending now. Resolves when it is committed, even if sets were refused. Rejects with the driver's error. */
  flush (): Promise<void> {
    const settled = (this.#gathering ?? this.#flushing)?.done.promise ?? Promise.resolve()
    this.#start()
    return settled
  }

  #isTooMuch (bytes: number): boolean {
    return this.#bytes > 0 && bytes > 0 && this.#bytes + bytes > MAX_WAITING_BYTES
  }

  #grow (bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes > INLINE_BYTES) this.#writeInline()
    else this.#schedule()
  }

  #schedule (): void {
    if (this.#draining) return
    // The immediate and the timer keep the process alive, so that a script can await its last write. Both take only a moment.
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined
      if (this.waiting >= MANY_WRITES || this.#bytes >= MANY_BYTES) this.#start()
      else this.#timer ??= setTimeout(() => { this.#start() }, GATHER_MS)
    })
  }

  #start (): void {
    clearImmediate(this.#immediate)
    clearTimeout(this.#timer)
    this.#immediate = this.#timer = undefined
    if (!this.#draining) this.#drain()
  }

  /** Writes batches until none is left. Never rejects: if a batch fails, the batch's own promises reject. */
  async #drain (): Promise<void> {
    this.#draining = true
    while (this.#gathering !== undefined) {
      const batch = this.#flushing = this.#gathering
      this.#gathering = undefined
      try {
        await this.#write(batch)
        batch.resolve()
      } catch (error) {
        batch.reject(error)
      }
      this.#bytes -= batch.bytes
      this.#flushing = undefined
    }
    // `#draining` becomes false in the same turn in which no pending batch was found, so that a later write starts a new drain.
    this.#draining = false
  }

  async #write (batch: WriteBatch): Promise<void> {
    const { slices, database, disk, afterBatch } = this.#options
    const write = async (): Promise<void> => {
      await slices.steps((hasTime) => database.use((connection) => this.#writeSome(connection, batch, hasTime)))
      await afterBatch()
    }
    const storing = (): Need => batch.writes.size > 0 ? 'store' : 'lease'
    try {
      await disk.withRoom(write, () => batch.hasDeletes ? 'invalidation' : storing())
    } catch (error) {
      if (!isFull(error) || !batch.refuseSets(error)) throw error
      await disk.withRoom(write, storing)
    }
  }

  #writeInline (): void {
    const before = this.#flushing
    this.#start()
    // If no batch was being written before, `#start` has already written a part of this one.
    if (before === undefined) return
    const batch = before.size > 0 ? before : this.#gathering
    try {
      if (batch !== undefined) this.#options.database.use((connection) => this.#writeSome(connection, batch, stepClock()))
    } catch {
      // The error is ignored here, because the batch will meet the same error later, and then reject its writes.
    }
  }

  #writeSome (connection: Connection, batch: WriteBatch, hasTime: () => boolean): boolean {
    if (this.#options.writeAheadLog.isFull()) batch.refuseSets(new CACHE_ERR_BACKEND_FAILED('sqlite', 'set', LOG_IS_FULL), LOG_IS_FULL)
    const written: SqliteWrite[] = []
    const ended: Ended[] = []
    connection.transact(() => {
      this.#writeWrites(connection, batch, { written, hasTime })
      if (written.length === batch.writes.size) this.#writeSettles(connection, batch, { ended, hasTime })
      connection.writeTouches(hasTime)
    })
    for (const { key, entry, bytes } of written) {
      batch.writes.delete(key)
      this.#bytes -= bytes
      if (entry !== undefined) for (const listener of this.#listeners) listener(key)
    }
    // The listeners don't hear of these keys. A clear keeps what it hears of, but a token may have been given out before the clear.
    for (const { settle, isStored } of ended) {
      batch.settles.delete(settle)
      this.#bytes -= settle.bytes
      settle.resolve(isStored)
    }
    return batch.size === 0
  }

  /** Writes until the time is over, at least one write. Each makes all tokens of its key invalid. */
  #writeWrites (connection: Connection, batch: WriteBatch, { written, hasTime }: { written: SqliteWrite[], hasTime: () => boolean }): void {
    const at = this.#options.now()
    const hasLeases = !connection.leases.isEmpty()
    for (const write of batch.writes.values()) {
      const key = storedText(write.key)
      if (write.entry === undefined) connection.remove(key)
      else connection.put(key, write.entry.value, write.entry.expiresAt, at)
      if (hasLeases) connection.leases.remove(key)
      written.push(write)
      if (!hasTime()) break
    }
  }

  /** Writes settlements until the time is over, at least one. Adds each to `ended`. */
  #writeSettles (connection: Connection, batch: WriteBatch, { ended, hasTime }: { ended: Ended[], hasTime: () => boolean }): void {
    for (const settle of batch.settles) {
      ended.push({ settle, isStored: this.#writeSettle(connection, settle) })
      if (!hasTime()) break
    }
  }

  /** Writes a settlement if its token is still valid. Returns whether its entry was stored. */
  #writeSettle (connection: Connection, { key: text, token, settlement }: SqliteSettle): boolean {
    const { now, leaseNow } = this.#options
    const key = storedText(text)
    const at = leaseNow()
    const expiresAt = settlement.replaces === undefined ? 0 : connection.sql.expiresAt.get(key) as number | undefined ?? 0
    const present = expiresAt > now() ? expiresAt : 0
    const outcome = settled(connection.leases.find(key, at), token, { settlement, present, at })
    if (outcome === undefined) return false
    const { isStored, lease } = outcome
    if (isStored && settlement.entry !== undefined) connection.put(key, settlement.entry.value, settlement.entry.expiresAt, now())
    if (lease === undefined) connection.leases.remove(key)
    else connection.leases.write(key, lease)
    return isStored
  }
}
