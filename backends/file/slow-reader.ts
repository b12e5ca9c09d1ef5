// Reads files that the fast path can't read: they may be expired, large or damaged, or their use has to be recorded.
import { closeSync, unlinkSync } from 'node:fs'
import type { MaybePromise, StoredEntry } from '../../registry/backend.js'
import { decodeRecord } from '../../registry/codec.js'
import { headOf, isTrusted, openEntry, readAndClose, touch, type OpenFile } from './entry-file.js'
import { statIfThere } from './file-writer.js'
import type { FileMaintenance } from './maintenance.js'
import type { EntryPath } from './paths.js'
import type { FileWriteQueue } from './write-queue.js'

// The largest file that is read or written. A Buffer can hold far more, and the size fits into 32 bits.
export const MAX_FILE_BYTES = 1_000_000_000

/** Options and dependencies of a slow reader. */
export interface SlowReaderOptions {
  readonly now: () => number
  /** Returns the time to record for a use that happens now. */
  readonly useAt: () => number
  readonly writes: FileWriteQueue
  readonly maintenance: FileMaintenance
  /** Called with the path of each world-writable file, before it is removed. */
  readonly noteSpoilt: (path: string) => void
}

export class SlowReader {
  /** How many damaged files were removed. */
  damaged = 0
  readonly #options: SlowReaderOptions

  constructor (options: SlowReaderOptions) {
    this.#options = options
  }

  /** Returns the entry at `entryPath`, as a promise if its file is large. Removes a file that is damaged or whose entry has expired. */
  read (entryPath: EntryPath): MaybePromise<StoredEntry | undefined> {
    const { now, useAt, noteSpoilt } = this.#options
    entryPath.usedAt = -Infinity
    const file = openEntry(entryPath.path)
    if (file === undefined) return undefined
    if (!isTrusted(file) || file.expiresAt <= now() || file.size > MAX_FILE_BYTES) {
      closeSync(file.descriptor)
      if (!isTrusted(file)) this.damaged++
      if (file.standing === 'spoilt') noteSpoilt(entryPath.path)
      this.#discard(entryPath, file)
      return undefined
    }
    const usedAt = touch(file, useAt())
    const bytes = readAndClose(file)
    if (bytes instanceof Promise) return bytes.then((all) => this.#check(all, entryPath, file))
    entryPath.usedAt = usedAt
    return this.#check(bytes, entryPath, file)
  }

  /** Returns whether there is an entry at `entryPath` that has not expired. Reads only the head of the file. */
  has (entryPath: EntryPath): boolean {
    const file = openEntry(entryPath.path)
    if (file === undefined) return false
    try {
      const head = isTrusted(file) ? headOf(file) : undefined
      return head !== undefined && head.key.equals(entryPath.key) && Math.min(head.expiresAt, file.expiresAt) > this.#options.now()
    } finally {
      closeSync(file.descriptor)
    }
  }

  #check (bytes: Buffer, entryPath: EntryPath, file: OpenFile): StoredEntry | undefined {
    const entry = bytes.length === file.size ? decodeRecord(bytes, entryPath.key) : undefined
    if (entry !== undefined) return entry.expiresAt > this.#options.now() ? entry : undefined
    this.damaged++
    this.#discard(entryPath, file)
    return undefined
  }

  /** Removes a file, unless it has been replaced in the meantime. If that fails, the next set or cleanup removes the file. */
  #discard ({ name, path }: EntryPath, { inode, size }: OpenFile): void {
    const { writes, maintenance } = this.#options
    try {
      if (writes.find(name) !== undefined || statIfThere(path)?.ino !== inode) return
      unlinkSync(path)
      maintenance.grow(-size)
    } catch {}
  }
}
