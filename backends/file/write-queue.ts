// Queues writes to files. A few of them run at a time, deletes before sets. A read looks into this queue before it reads a file.
import type { StoredEntry } from '../../registry/backend.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { noop } from '../../registry/maybe-promise.js'
import { WriteQueue } from '../../registry/write-queue.js'

// The most sets that run at the same time. The same number of deletes may run besides, because a set may have to wait for an eviction. If
// more writes ran, they would only wait for libuv's threads, each with an open file.
const AT_ONCE = 8

const MAX_WAITING_BYTES = 64 * 1024 * 1024
const WRITE_OVERHEAD_BYTES = 200

/** A write to an entry's file, or the removal of the file if `entry` is undefined. */
export interface FileWrite {
  /** The file's name. */
  readonly key: string
  /** The entry's key, in the encoding in which it is stored. */
  readonly stored: Buffer
  readonly entry: StoredEntry | undefined
}

/** The writes to files that have not settled. */
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

  /** Does the same as `WriteQueue.put`, and calls the listeners. The caller may ignore the returned promise. */
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

  /** Closes the queue, after at most `patienceMs`. Writes that have not been carried out by then are refused. */
  async closeWithin (patienceMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise((resolve) => { timer = setTimeout(resolve, patienceMs) })
    await Promise.race([this.flush(), late])
    clearTimeout(timer)
    this.close(() => new CACHE_ERR_CLOSED('file'))
  }
}
