// Changes wait here for their turn: those of one key in the order of the calls, deletes before sets, few at once; reads ask here first.
import type { StoredEntry } from '../../registry/backend.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'

// More would only wait for libuv's threads, each with a file open. Deletes have a limit of their own: a set may hold its one until
// there is room for it.
const AT_ONCE = 8

const MAX_WAITING_BYTES = 64 * 1024 * 1024
const CHANGE_OVERHEAD_BYTES = 200

/** What is to become of a key's file: an entry, or none where it is to be forgotten. */
export interface FileChange {
  readonly name: string
  readonly key: Buffer
  readonly entry: StoredEntry | undefined
}

interface Job {
  change: FileChange
  bytes: number
  readonly settled: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * The changes that wait and those under way. Of a name wait one delete at most and, behind it, one set: a set may fail, and a delete must
 * not with it.
 */
export class FileWriteQueue {
  readonly #carryOut: (change: FileChange) => Promise<void>
  readonly #deletes = new Map<string, Job>()
  readonly #sets = new Map<string, Job>()
  readonly #running = new Map<string, Job>()
  readonly #listeners = new Set<(name: string) => void>()
  #runningSets = 0
  #bytes = 0
  #closed = false

  constructor (carryOut: (change: FileChange) => Promise<void>) {
    this.#carryOut = carryOut
  }

  /** How many changes have not settled. */
  get waiting (): number {
    return this.#deletes.size + this.#sets.size + this.#running.size
  }

  /** The last change of this name that has not settled. */
  find (name: string): FileChange | undefined {
    if (this.waiting === 0) return undefined
    return (this.#sets.get(name) ?? this.#deletes.get(name) ?? this.#running.get(name))?.change
  }

  /** Puts a change behind the one that is under way for its name, in place of a set that waits. Settles when it is carried out. */
  put (change: FileChange): Promise<void> {
    if (this.#closed) return Promise.reject(new CACHE_ERR_CLOSED('file'))
    const job = change.entry === undefined ? this.#putDelete(change) : this.#putSet(change)
    if (job === undefined) return Promise.reject(new CACHE_ERR_BACKEND_FAILED('file', 'set', 'too many writes are waiting for the disk'))
    this.#start()
    return job.settled
  }

  #putSet (change: FileChange): Job | undefined {
    const waiting = this.#sets.get(change.name)
    const bytes = bytesOf(change)
    const grownBy = bytes - (waiting?.bytes ?? 0)
    if (this.#bytes > 0 && grownBy > 0 && this.#bytes + grownBy > MAX_WAITING_BYTES) return undefined
    this.#bytes += grownBy
    for (const listener of this.#listeners) listener(change.name)
    const job = waiting === undefined ? jobOf(change, bytes) : Object.assign(waiting, { change, bytes })
    this.#sets.set(change.name, job)
    return job
  }

  /** Never refused: what was invalidated must not be served because the disk is slow. */
  #putDelete (change: FileChange): Job {
    const { name } = change
    const bytes = bytesOf(change)
    const replaced = this.#sets.get(name)
    this.#sets.delete(name)
    this.#bytes -= replaced?.bytes ?? 0
    const waiting = this.#deletes.get(name)
    if (waiting !== undefined) {
      if (replaced !== undefined) waiting.settled.then(replaced.resolve, replaced.reject)
      return waiting
    }
    const job = replaced === undefined ? jobOf(change, bytes) : Object.assign(replaced, { change, bytes })
    this.#deletes.set(name, job)
    this.#bytes += bytes
    return job
  }

  /** Calls `listener` with every name for which an entry is put from now on. Answers how to end that. */
  onPut (listener: (name: string) => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  /** The changes that have not settled, the last one of each name. */
  changes (): FileChange[] {
    const names = new Set([...this.#running.keys(), ...this.#deletes.keys(), ...this.#sets.keys()])
    return [...names].map((name) => this.find(name) as FileChange)
  }

  /** Settles when every change put so far has settled, well or not. */
  async flush (): Promise<void> {
    await Promise.allSettled(this.#all().map(({ settled }) => settled))
  }

  /** Takes no more. What is not carried out within `patienceMs` is refused. */
  async close (patienceMs: number): Promise<void> {
    this.#closed = true
    let timer: NodeJS.Timeout | undefined
    const late = new Promise((resolve) => { timer = setTimeout(resolve, patienceMs) })
    await Promise.race([this.flush(), late])
    clearTimeout(timer)
    for (const job of this.#all()) job.reject(new CACHE_ERR_CLOSED('file'))
    this.#deletes.clear()
    this.#sets.clear()
  }

  #all (): Job[] {
    return [...this.#deletes.values(), ...this.#sets.values(), ...this.#running.values()]
  }

  #start (): void {
    for (const [name, job] of this.#deletes) {
      if (this.#running.size - this.#runningSets >= AT_ONCE) break
      if (!this.#running.has(name)) this.#run(this.#deletes, job)
    }
    for (const [name, job] of this.#sets) {
      if (this.#runningSets >= AT_ONCE) return
      if (!this.#running.has(name) && !this.#deletes.has(name)) this.#run(this.#sets, job)
    }
  }

  /** Never rejects: a failure belongs to the job. */
  async #run (waiting: Map<string, Job>, job: Job): Promise<void> {
    const { change: { name }, bytes } = job
    const isSet = waiting === this.#sets
    waiting.delete(name)
    this.#running.set(name, job)
    if (isSet) this.#runningSets++
    try {
      await this.#carryOut(job.change)
      job.resolve()
    } catch (error) {
      job.reject(error)
    }
    this.#bytes -= bytes
    this.#running.delete(name)
    if (isSet) this.#runningSets--
    this.#start()
  }
}

function bytesOf ({ key, entry }: FileChange): number {
  return key.length + (entry?.value.byteLength ?? 0) + CHANGE_OVERHEAD_BYTES
}

function jobOf (change: FileChange, bytes: number): Job {
  const { promise: settled, resolve, reject } = withResolvers()
  // Whoever awaits a change learns that it failed; nobody needs to.
  settled.catch(() => {})
  return { change, bytes, settled, resolve, reject }
}

function withResolvers (): { promise: Promise<void>, resolve: () => void, reject: (error: unknown) => void } {
  let resolve!: () => void
  let reject!: (error: unknown) => void
  const promise = new Promise<void>((_resolve, _reject) => { resolve = _resolve; reject = _reject })
  return { promise, resolve, reject }
}
