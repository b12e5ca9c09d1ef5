// Queues writes, and gathers them into batches, so that one transaction contains many. Reads look into this queue before they ask SQLite.
import type { StoredEntry } from '../../registry/backend.js'
import { CACHE_ERR_BACKEND_FAILED } from '../../registry/errors.js'
import { Deferred, noop } from '../../registry/maybe-promise.js'
import type { Connection } from './connection.js'
import type { Disk } from './disk.js'
import { isFull } from './driver.js'
import type { CacheDatabase } from './database.js'
import { storedText } from './codec.js'
import { stepClock, type TimeSlices } from './time-slices.js'
import type { WriteAheadLog } from './write-ahead-log.js'

/** A write to a key. `entry` is undefined if the write deletes the key. */
export interface SqliteWrite {
  readonly key: string
  readonly entry: StoredEntry | undefined
  readonly bytes: number
}

/** Options and dependencies of the queue. */
export interface SqliteWriteQueueOptions {
  readonly slices: TimeSlices
  readonly now: () => number
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

const LOG_IS_FULL = 'the write-ahead log is longer than maxBytes, since another process keeps a read transaction on the file open; end that'

class Batch {
  readonly writes = new Map<string, SqliteWrite>()
  /** The promise of the sets. They may be refused although the deletes are carried out. */
  readonly stored = new Deferred()
  /** The promise of the deletes, and of the batch as a whole. */
  readonly done = new Deferred()

  constructor () {
    // Callers may ignore these promises, so a rejection must not count as unhandled.
    for (const { promise } of [this.stored, this.done]) promise.catch(noop)
  }

  get hasDeletes (): boolean {
    return [...this.writes.values()].some(({ entry }) => entry === undefined)
  }

  /** Rejects the sets and turns them into deletes, because the old entries are out of date. Returns whether there were any sets. */
  refuseSets (error: unknown): boolean {
    const sets = [...this.writes.values()].filter(({ entry }) => entry !== undefined)
    for (const write of sets) this.writes.set(write.key, { ...write, entry: undefined })
    if (sets.length > 0) this.stored.reject(error)
    return sets.length > 0
  }

  resolve (): void {
    this.stored.resolve()
    this.done.resolve()
  }

  reject (error: unknown): void {
    this.stored.reject(error)
    this.done.reject(error)
  }
}

/** Keeps the pending writes in batches. A batch contains only the last write to each key. */
export class SqliteWriteQueue {
  readonly #options: SqliteWriteQueueOptions
  readonly #listeners = new Set<(key: string) => void>()
  #gathering: Batch | undefined
  #flushing: Batch | undefined
  #draining = false
  #immediate: NodeJS.Immediate | undefined
  #timer: NodeJS.Timeout | undefined
  #bytes = 0

  constructor (options: SqliteWriteQueueOptions) {
    this.#options = options
  }

  /** How many writes are pending. */
  get waiting (): number {
    return (this.#gathering?.writes.size ?? 0) + (this.#flushing?.writes.size ?? 0)
  }

  /** Returns the last pending write to `key`. */
  find (key: string): SqliteWrite | undefined {
    return this.#gathering?.writes.get(key) ?? this.#flushing?.writes.get(key)
  }

  /** Adds a write, which replaces a pending write to the same key. Settles when the write is committed. */
  put (key: string, entry: StoredEntry | undefined): Promise<void> {
    const bytes = key.length * 2 + (entry?.value.byteLength ?? 0) + WRITE_OVERHEAD_BYTES
    const batch = this.#gathering ??= new Batch()
    const grownBy = bytes - (batch.writes.get(key)?.bytes ?? 0)
    if (this.#bytes > 0 && grownBy > 0 && this.#bytes + grownBy > MAX_WAITING_BYTES) {
      return Promise.reject(new CACHE_ERR_BACKEND_FAILED('sqlite', 'set', 'too many writes are waiting for the database'))
    }
    batch.writes.set(key, { key, entry, bytes })
    this.#bytes += grownBy
    if (this.#bytes > INLINE_BYTES) this.#writeInline()
    else this.#schedule()
    return (entry === undefined ? batch.done : batch.stored).promise
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
      for (const { bytes } of batch.writes.values()) this.#bytes -= bytes
      this.#flushing = undefined
    }
    // `#draining` becomes false in the same turn in which no pending batch was found, so that a later write starts a new drain.
    this.#draining = false
  }

  async #write (batch: Batch): Promise<void> {
    const { slices, database, disk, afterBatch } = this.#options
    const write = async (): Promise<void> => {
      await slices.steps((hasTime) => database.use((connection) => this.#writeSome(connection, batch, hasTime)))
      await afterBatch()
    }
    try {
      await disk.withRoom(write, () => batch.hasDeletes ? 'invalidation' : 'store')
    } catch (error) {
      if (!isFull(error) || !batch.refuseSets(error)) throw error
      await disk.withRoom(write, () => 'store')
    }
  }

  #writeInline (): void {
    const before = this.#flushing
    this.#start()
    // If no batch was being written before, `#start` has already written a part of this one.
    if (before === undefined) return
    const batch = before.writes.size > 0 ? before : this.#gathering
    try {
      if (batch !== undefined) this.#options.database.use((connection) => this.#writeSome(connection, batch, stepClock()))
    } catch {
      // The error is ignored here, because the batch will meet the same error later, and then reject its writes.
    }
  }

  #writeSome (connection: Connection, batch: Batch, hasTime: () => boolean): boolean {
    if (this.#options.writeAheadLog.isFull()) batch.refuseSets(new CACHE_ERR_BACKEND_FAILED('sqlite', 'set', LOG_IS_FULL))
    const at = this.#options.now()
    const written: SqliteWrite[] = []
    connection.transact(() => {
      for (const write of batch.writes.values()) {
        if (write.entry === undefined) connection.remove(storedText(write.key))
        else connection.put(storedText(write.key), write.entry.value, write.entry.expiresAt, at)
        written.push(write)
        if (!hasTime()) break
      }
      connection.writeTouches(hasTime)
    })
    for (const { key, entry, bytes } of written) {
      batch.writes.delete(key)
      this.#bytes -= bytes
      if (entry !== undefined) for (const listener of this.#listeners) listener(key)
    }
    return batch.writes.size === 0
  }
}
