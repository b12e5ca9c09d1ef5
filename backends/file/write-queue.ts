// The queue of writes to files: a few run at a time, deletes before sets. A read looks here before it reads a file.
import type { StoredEntry } from '../../registry/backend.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { noop } from '../../registry/maybe-promise.js'
import { WriteQueue } from '../../registry/write-queue.js'

// Limit on concurrent sets, and a separate one on concurrent deletes, because a set may wait for an eviction. More writes would only wait
// for libuv's threads, each with an open file.
const AT_ONCE = 8

const MAX_WAITING_BYTES = 64 * 1024 * 1024
const WRITE_OVERHEAD_BYTES = 200

/** A write of an entry's file, or its removal if `entry` is undefined. */
export interface FileWrite {
  /** The file's name. */
  readonly key: string
  /** The entry's key, as it is stored. */
  readonly stored: Buffer
  readonly entry: StoredEntry | undefined
}

/** The writes that have not settled. */
export class FileWriteQueue extends WriteQueue<FileWrite> {
  readonly #listeners = new Set<(name: string) => void>()

  constructor (carryOut: (write: FileWrite) => Promise<void>) {
    super({
      carryOut,
      maxRunning: AT_ONCE,
      maxBytes: MAX_WAITING_BYTES,
      bytesOf: ({ stored, entry }) => stored.length + (entry?.value.byteLength ?? 0) + WRITE_OVERHEAD_BYTES,
      tooMany: () => new CACHE_ERR_BACKEND_FAILED('file', 'set', 'too many writes are waiting for the disk')
    })
  }

  /** The same as `WriteQueue.put`, but also calls the listeners, and the caller may ignore the result. */
  override put (write: FileWrite): Promise<void> {
    const settled = super.put(write)
    const isAccepted = this.find(write.key) === write
    if (isAccepted && write.entry !== undefined) for (const listener of this.#listeners) listener(write.key)
    settled.catch(noop)
    return settled
  }

  /** Calls `listener` with the file name of each entry that is set from now on. Returns a function that removes the listener. */
  onPut (listener: (name: string) => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  /** Closes the queue. Writes that are not carried out within `patienceMs` are refused. */
  async closeWithin (patienceMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise((resolve) => { timer = setTimeout(resolve, patienceMs) })
    await Promise.race([this.flush(), late])
    clearTimeout(timer)
    this.close(() => new CACHE_ERR_CLOSED('file'))
  }
}
