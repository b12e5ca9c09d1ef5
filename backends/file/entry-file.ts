// Reads one entry's file: never a link, never waiting, small ones at once, large ones while the loop turns.
import { close, closeSync, constants, fchmodSync, fstatSync, futimesSync, openSync, read, readSync, type Stats } from 'node:fs'
import type { MaybePromise, StoredEntry } from '../../registry/backend.js'
import { codeOf } from './folder.js'
import { HEAD_BYTES, headBytesOf, decodeRecord, readHead, type Head } from '../../registry/codec.js'
import { OWNER_ONLY, standingOf, type Standing } from '../../registry/own-file.js'

// A link is not followed; a FIFO or a device that somebody put here does not make the open wait; reading is no use
// that the file system need note, we do.
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0) | (constants.O_NOATIME ?? 0)

// Nothing there, or something that is no file of ours: the next set takes its place.
const MISSES = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EMLINK', 'ENXIO', 'ENODEV', 'EISDIR', 'EACCES', 'EPERM'])

// Reading this much from the page cache takes less than waiting for a thread to do it.
const AT_ONCE_BYTES = 64 * 1024

/** A use is noted when the one noted last is older than this: the order of eviction need not be finer. */
export const TOUCH_AFTER_MS = 60_000

const KEY_GUESS_BYTES = 512

/** Where entries that never end are put: later than that, not every file system can say. */
const LAST_MTIME_MS = Date.UTC(2400, 0)

/**
 * The times of a file: its last use, and in place of its last change the instant at which it expires. In seconds, as the file system takes
 * them.
 */
export function timesOf (usedAt: number, expiresAt: number): [atime: number, mtime: number] {
  return [usedAt / 1_000, Math.min(expiresAt, LAST_MTIME_MS) / 1_000]
}

/** The instant at which a file expires, by its time of change. */
export function expiryOf ({ mtimeMs }: { mtimeMs: number }): number {
  const expiresAt = Math.round(mtimeMs)
  return expiresAt >= LAST_MTIME_MS ? Infinity : expiresAt
}

/** An open file. */
export interface OpenFile {
  readonly descriptor: number
  readonly size: number
  readonly inode: number
  readonly expiresAt: number
  readonly usedAt: number
  /** Whether it has another name, somewhere: then it is not ours alone. */
  readonly isShared: boolean
  readonly standing: Standing
}

/** Whether what a file holds may be believed. */
export function isTrusted ({ standing }: Pick<OpenFile, 'standing'>): boolean {
  return standing === 'private' || standing === 'opened'
}

/** Reads small files into the same memory, one after the other. */
export class SmallFileReader {
  // One byte more than is read of a file: what fills it is larger.
  readonly #bytes = Buffer.allocUnsafeSlow(AT_ONCE_BYTES + 1)

  /**
   * The entry of a key in its file, with `isHeld` in memory of its own, else in Node's pool; undefined unless all is as it
   * should be. Throws what keeps it from being read.
   */
  read ({ path, key }: { readonly path: string, readonly key: Buffer }, isHeld: boolean): StoredEntry | undefined {
    const descriptor = openIfThere(path)
    if (descriptor === undefined) return undefined
    let count
    try {
      // By the descriptor: what lies at the path may be exchanged meanwhile.
      if (!isTrusted({ standing: admitted(descriptor, fstatSync(descriptor)) })) return undefined
      count = readSync(descriptor, this.#bytes, 0, this.#bytes.length, 0)
    } catch {
      // A FIFO: whoever looks closer will see.
      return undefined
    } finally {
      closeSync(descriptor)
    }
    const entry = count > AT_ONCE_BYTES ? undefined : decodeRecord(this.#bytes, key, count)
    return entry && { value: isHeld ? copyOf(entry.value) : Buffer.from(entry.value), expiresAt: entry.expiresAt }
  }
}

/** Not in the shared pool: a small value that is kept would keep the whole pool. */
export function copyOf (value: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(value.byteLength)
  copy.set(value)
  return copy
}

function openIfThere (path: string): number | undefined {
  try {
    return openSync(path, FLAGS)
  } catch (error) {
    if (MISSES.has(codeOf(error))) return undefined
    throw error
  }
}

/**
 * Opens a file, and makes one of ours private again; undefined when there is none, or something else. Whether it may be believed
 * is for the caller to ask. Throws what keeps it from being read.
 */
export function openEntry (path: string): OpenFile | undefined {
  const descriptor = openIfThere(path)
  if (descriptor === undefined) return undefined
  try {
    const stat = fstatSync(descriptor)
    if (stat.isFile()) {
      return {
        descriptor,
        size: stat.size,
        inode: stat.ino,
        expiresAt: expiryOf(stat),
        usedAt: stat.atimeMs,
        isShared: stat.nlink > 1,
        standing: admitted(descriptor, stat)
      }
    }
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
  closeSync(descriptor)
  return undefined
}

/**
 * What an open file is to us; one of ours is made private again. It stays as it is where the disk is read-only, and where it has
 * another name, which may be somebody else's.
 */
function admitted (descriptor: number, stat: Stats): Standing {
  const standing = standingOf(stat)
  if (standing !== 'opened' || stat.nlink > 1) return standing
  try {
    fchmodSync(descriptor, OWNER_ONLY)
  } catch {}
  return standing
}

/**
 * Notes that an open file is used, unless that was done not long ago. A hint: where it can't be written it is not, nor in
 * a file of somebody else's that was linked here. Returns what stands there now.
 */
export function touch ({ descriptor, expiresAt, usedAt, isShared }: OpenFile, at: number): number {
  if (isShared || at - usedAt <= TOUCH_AFTER_MS) return usedAt
  try {
    futimesSync(descriptor, ...timesOf(at, expiresAt))
  } catch {}
  return at
}

/** All bytes of an open file, which is closed; fewer when it ends earlier than it said. */
export function readAndClose ({ descriptor, size }: OpenFile): MaybePromise<Buffer> {
  // Not of the shared pool: a small value that is kept would keep the whole pool.
  const bytes = Buffer.allocUnsafeSlow(size)
  if (size > AT_ONCE_BYTES) return readLater(descriptor, bytes)
  try {
    return bytes.subarray(0, readSync(descriptor, bytes, 0, size, 0))
  } finally {
    closeSync(descriptor)
  }
}

/** The head of an open file, which stays open; undefined when it is damaged. */
export function headOf ({ descriptor, size }: OpenFile): Head | undefined {
  let bytes = Buffer.allocUnsafe(Math.min(size, KEY_GUESS_BYTES))
  bytes = bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, 0))
  const headBytes = headBytesOf(bytes)
  if (headBytes === undefined || headBytes > size) return undefined
  if (headBytes > bytes.length) {
    bytes = Buffer.allocUnsafe(headBytes)
    bytes = bytes.subarray(0, readSync(descriptor, bytes, 0, headBytes, 0))
  }
  return bytes.length < HEAD_BYTES ? undefined : readHead(bytes, size)
}

function readLater (descriptor: number, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let filled = 0
    const end = (error: Error | null): void => {
      close(descriptor, () => error === null ? resolve(bytes.subarray(0, filled)) : reject(error))
    }
    const more = (): void => {
      read(descriptor, bytes, filled, bytes.length - filled, filled, (error, count) => {
        if (error !== null || count === 0) return end(error)
        filled += count
        if (filled < bytes.length) more()
        else end(null)
      })
    }
    more()
  })
}
