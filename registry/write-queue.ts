// Queues writes. Those to the same key run one at a time, in the order of the calls; a later one replaces one that is still waiting.
import type { MaybePromise, StoredEntry } from './backend.js'

/** A write to a key. It sets `entry`, or deletes the key's entry if `entry` is undefined. */
export interface Write {
  readonly key: string
  readonly entry: StoredEntry | undefined
}

export interface WriteQueueOptions<W extends Write> {
  /** Carries out a write. The next write to the same key begins only when the returned promise has settled, even if it rejects. */
  readonly carryOut: (write: W) => MaybePromise<unknown>
  /** The most sets that may run at the same time, and also the most deletes that may do so. @default Infinity */
  readonly maxRunning?: number
  /** The most keys that may have pending writes. @default Infinity */
  readonly maxKeys?: number
  /** The most bytes of pending writes, as `bytesOf` counts them. No delete is refused because of this limit. @default Infinity */
  readonly maxBytes?: number
  readonly bytesOf?: (write: W) => number
  /** Creates the error for a write that `maxKeys` or `maxBytes` does not allow. */
  readonly tooMany?: (write: W) => Error
  /** Whether a set replaces a waiting delete of the same key. If not, both are carried out, because the set may fail. @default false */
  readonly setsReplaceDeletes?: boolean
  /** Returns whether a failed write does not reject, but settles with a later write to the same key, if one is waiting. @default never */
  readonly settlesWithNext?: (write: W, error: unknown) => boolean
  /** Called when a write has to wait because another write to the same key is being carried out. */
  readonly onFollowed?: (key: string) => void
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface Job<W> {
  readonly write: W
  readonly bytes: number
  /** The callers that await this write, or a write that it replaced. The map's keys are the writes that they await. */
  readonly waiters: Map<unknown, Waiter>
}

type Kind = 'delete' | 'set'

/** The unsettled writes to one key, in their order: the running one, a waiting delete, a waiting set. */
interface KeyWrites<W> {
  running: Job<W> | undefined
  delete: Job<W> | undefined
  set: Job<W> | undefined
}

/** A queue of writes that have not settled. */
export class WriteQueue<W extends Write> {
  readonly #options: WriteQueueOptions<W>
  readonly #byKey = new Map<string, KeyWrites<W>>()
  /** The keys whose next write may begin, separately for deletes and sets. */
  readonly #ready = { delete: new Set<string>(), set: new Set<string>() }
  readonly #running = { delete: 0, set: 0 }
  #bytes = 0
  #closed: ((write: W) => Error) | undefined

  constructor (options: WriteQueueOptions<W>) {
    this.#options = options
  }

  /** The number of writes that have not settled. */
  get waiting (): number {
    return this.#jobs().length
  }

  has (key: string): boolean {
    return this.#byKey.has(key)
  }

  /** Returns whether a write to `key` is waiting behind the one that is being carried out. */
  isFollowed (key: string): boolean {
    const writes = this.#byKey.get(key)
    return (writes?.set ?? writes?.delete) !== undefined
  }

  /** Returns the last unsettled write to `key`. Reads return the entry of this write instead of the stored one. */
  find (key: string): W | undefined {
    if (this.#byKey.size === 0) return undefined
    const writes = this.#byKey.get(key)
    return (writes?.set ?? writes?.delete ?? writes?.running)?.write
  }

  /** Returns the keys that begin with `prefix` and have an unsettled write. */
  keys (prefix = ''): string[] {
    return [...this.#byKey.keys()].filter((key) => key.startsWith(prefix))
  }

  /** Carries out a write once the previous write to its key has settled. Settles when this write does, or a later one that replaced it. */
  put (write: W): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed(write))
    const bytes = this.#options.bytesOf?.(write) ?? 0
    if (this.#isTooMany(write, bytes)) return Promise.reject(this.#options.tooMany?.(write))
    return new Promise((resolve, reject) => {
      this.#add(write, bytes).waiters.set(write, { resolve, reject })
      this.#start()
    })
  }

  /** Called when the caller no longer awaits `write`. If it is a set that has not begun, it is dropped; a delete is still carried out. */
  giveUp (write: W): void {
    const writes = this.#byKey.get(write.key)
    for (const job of [writes?.running, writes?.delete, writes?.set]) job?.waiters.delete(write)
    if (writes?.set?.write !== write) return
    this.#drop(writes, 'set')
    this.#ready.set.delete(write.key)
    if (writes.running === undefined && writes.delete === undefined) this.#byKey.delete(write.key)
  }

  /** Settles when every write that was put so far has settled. Resolves even if a write failed. */
  async flush (): Promise<void> {
    await Promise.all(this.#jobs().map(({ waiters }) =>
      new Promise<void>((resolve) => { waiters.set({}, { resolve, reject: () => resolve() }) })))
  }

  /** Rejects all pending and later writes with the error that `refused` returns. No more writes begin. May be called twice. */
  close (refused: (write: W) => Error): void {
    this.#closed = refused
    for (const { write, waiters } of this.#jobs()) {
      for (const { reject } of waiters.values()) reject(refused(write))
      waiters.clear()
    }
    this.#byKey.clear()
    for (const keys of Object.values(this.#ready)) keys.clear()
  }

  #jobs (): Array<Job<W>> {
    return [...this.#byKey.values()].flatMap((writes) => [writes.running, writes.delete, writes.set].filter((job) => job !== undefined))
  }

  #isTooMany ({ key, entry }: W, bytes: number): boolean {
    const { maxKeys = Infinity, maxBytes = Infinity } = this.#options
    const writes = this.#byKey.get(key)
    const grownBy = bytes - (writes?.set?.bytes ?? 0)
    return (writes === undefined && this.#byKey.size >= maxKeys) ||
      (entry !== undefined && this.#bytes > 0 && grownBy > 0 && this.#bytes + grownBy > maxBytes)
  }

  #add (write: W, bytes: number): Job<W> {
    const { key, entry } = write
    const writes = this.#byKey.get(key) ?? { running: undefined, delete: undefined, set: undefined }
    this.#byKey.set(key, writes)
    const kind = entry === undefined ? 'delete' : 'set'
    const waiters = this.#drop(writes, kind)?.waiters ?? new Map<unknown, Waiter>()
    if (kind === 'delete' || this.#options.setsReplaceDeletes === true) {
      const other = kind === 'delete' ? 'set' : 'delete'
      for (const [replaced, waiter] of this.#drop(writes, other)?.waiters ?? []) waiters.set(replaced, waiter)
      this.#ready[other].delete(key)
    }
    this.#bytes += bytes
    const job = writes[kind] = { write, bytes, waiters }
    if (writes.running === undefined) this.#ready[nextOf(writes)!].add(key)
    else this.#options.onFollowed?.(key)
    return job
  }

  #drop (writes: KeyWrites<W>, kind: Kind): Job<W> | undefined {
    const job = writes[kind]
    writes[kind] = undefined
    this.#bytes -= job?.bytes ?? 0
    return job
  }

  #start (): void {
    for (const kind of ['delete', 'set'] as const) {
      for (const key of this.#ready[kind]) {
        if (this.#running[kind] >= (this.#options.maxRunning ?? Infinity)) break
        this.#ready[kind].delete(key)
        this.#run(this.#byKey.get(key)!, kind)
      }
    }
  }

  /** Never rejects. If a write fails, the promises of the callers that await it reject. */
  async #run (writes: KeyWrites<W>, kind: Kind): Promise<void> {
    const job = writes.running = writes[kind]!
    const { key } = job.write
    writes[kind] = undefined
    this.#running[kind]++
    try {
      await this.#options.carryOut(job.write)
      for (const { resolve } of job.waiters.values()) resolve()
    } catch (error) {
      this.#failed(job, error, writes.set ?? writes.delete)
    }
    this.#running[kind]--
    this.#bytes -= job.bytes
    writes.running = undefined
    if (this.#closed !== undefined) return
    const next = nextOf(writes)
    if (next === undefined) this.#byKey.delete(key)
    else this.#ready[next].add(key)
    this.#start()
  }

  #failed ({ waiters }: Job<W>, error: unknown, next: Job<W> | undefined): void {
    for (const [write, waiter] of waiters) {
      if (next !== undefined && this.#options.settlesWithNext?.(write as W, error) === true) next.waiters.set(write, waiter)
      else waiter.reject(error)
    }
  }
}

function nextOf <W> (writes: KeyWrites<W>): Kind | undefined {
  if (writes.delete !== undefined) return 'delete'
  return writes.set === undefined ? undefined : 'set'
}
