// Changes wait here for their turn: those of one key in the order of the calls, few at once; reads ask here first.
import type { StoredEntry } from '../../registry/backend.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'

// More would only wait for libuv's threads, each with a file open.
const AT_ONCE = 8

const MAX_WAITING_BYTES = 64 * 1024 * 1024
const CHANGE_OVERHEAD_BYTES = 200

/** What is to become of a key's file: an entry, or none where it is to be forgotten. */
export interface Change {
  readonly name: string
  readonly key: Buffer
  readonly entry: StoredEntry | undefined
}

interface Job {
  change: Change
  bytes: number
  readonly settled: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** The changes that wait, the last one per name, and those under way. */
export class Writes {
  readonly #carryOut: (change: Change) => Promise<void>
  readonly #waiting = new Map<string, Job>()
  readonly #running = new Map<string, Job>()
  readonly #listeners = new Set<(name: string) => void>()
  #bytes = 0
  #closed = false

  constructor (carryOut: (change: Change) => Promise<void>) {
    this.#carryOut = carryOut
  }

  /** How many changes have not settled. */
  get waiting (): number {
    return this.#waiting.size + this.#running.size
  }

  /** The last change of this name that has not settled. */
  find (name: string): Change | undefined {
    if (this.waiting === 0) return undefined
    return (this.#waiting.get(name) ?? this.#running.get(name))?.change
  }

  /** Puts a change behind the one that is under way for its name, in place of the one that waits. Settles when it is carried out. */
  put (change: Change): Promise<void> {
    if (this.#closed) return Promise.reject(new CACHE_ERR_CLOSED('file'))
    const waiting = this.#waiting.get(change.name)
    const bytes = change.key.length + (change.entry?.value.byteLength ?? 0) + CHANGE_OVERHEAD_BYTES
    const grownBy = bytes - (waiting?.bytes ?? 0)
    if (this.#bytes > 0 && grownBy > 0 && this.#bytes + grownBy > MAX_WAITING_BYTES) {
      return Promise.reject(new CACHE_ERR_BACKEND_FAILED('file', 'set', 'too many writes are waiting for the disk'))
    }
    this.#bytes += grownBy
    if (change.entry !== undefined) for (const listener of this.#listeners) listener(change.name)
    const job = waiting === undefined ? jobOf(change, bytes) : Object.assign(waiting, { change, bytes })
    this.#waiting.set(change.name, job)
    this.#start()
    return job.settled
  }

  /** Calls `listener` with every name for which an entry is put from now on. Answers how to end that. */
  onPut (listener: (name: string) => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  /** The changes that have not settled, the last one of each name. */
  changes (): Change[] {
    return [...new Set([...this.#running.keys(), ...this.#waiting.keys()])].map((name) => this.find(name) as Change)
  }

  /** Settles when every change put so far has settled, well or not. */
  async flush (): Promise<void> {
    await Promise.allSettled([...this.#running.values(), ...this.#waiting.values()].map(({ settled }) => settled))
  }

  /** Takes no more. What is not carried out within `patienceMs` is refused. */
  async close (patienceMs: number): Promise<void> {
    this.#closed = true
    let timer: NodeJS.Timeout | undefined
    const late = new Promise((resolve) => { timer = setTimeout(resolve, patienceMs) })
    await Promise.race([this.flush(), late])
    clearTimeout(timer)
    for (const job of [...this.#waiting.values(), ...this.#running.values()]) job.reject(new CACHE_ERR_CLOSED('file'))
    this.#waiting.clear()
  }

  #start (): void {
    for (const [name, job] of this.#waiting) {
      if (this.#running.size >= AT_ONCE) return
      if (this.#running.has(name)) continue
      this.#waiting.delete(name)
      this.#running.set(name, job)
      this.#run(job)
    }
  }

  /** Never rejects: a failure belongs to the job. */
  async #run (job: Job): Promise<void> {
    try {
      await this.#carryOut(job.change)
      job.resolve()
    } catch (error) {
      job.reject(error)
    }
    this.#bytes -= job.bytes
    this.#running.delete(job.change.name)
    this.#start()
  }
}

function jobOf (change: Change, bytes: number): Job {
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
