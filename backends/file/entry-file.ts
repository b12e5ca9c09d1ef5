// Opens and reads an entry's file: never a link, never waiting, small files synchronously, large ones asynchronously.
import { close, closeSync, constants, fchmodSync, fstatSync, futimesSync, openSync, read, readSync, type Stats } from 'node:fs'
import type { MaybePromise, StoredEntry } from '../../registry/backend.js'
import { codeOf } from './folder.js'
import { HEAD_BYTES, headBytesOf, decodeRecord, readHead, type Head } from '../../registry/codec.js'
import { OWNER_ONLY, standingOf, type Standing } from '../../registry/own-file.js'

// Links are not followed. A FIFO or a device does not block the open. The file system does not note reads as uses: we do.
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0) | (constants.O_NOATIME ?? 0)

// Nothing is there, or something that is not our file. The next set replaces it.
const MISSES = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EMLINK', 'ENXIO', 'ENODEV', 'EISDIR', 'EACCES', 'EPERM'])

// Reading this much from the page cache is faster than waiting for a thread.
const AT_ONCE_BYTES = 64 * 1024

/** A use is noted if the last noted use is older than this. Eviction needs no finer order. */
export const TOUCH_AFTER_MS = 60_000

const KEY_GUESS_BYTES = 512

/** The time of files that never expire. Not every file system supports a later one. */
const LAST_MTIME_MS = Date.UTC(2400, 0)

/** The times of a file, in seconds: its last use, and its expiry in place of its last modification. */
export function timesOf (usedAt: number, expiresAt: number): [atime: number, mtime: number] {
  return [usedAt / 1_000, Math.min(expiresAt, LAST_MTIME_MS) / 1_000]
}

/** When a file expires, by its modification time. */
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
  /** Whether it has another hard link: then it may be somebody else's too. */
  readonly isShared: boolean
  readonly standing: Standing
}

/** Whether the contents of a file may be trusted. */
export function isTrusted ({ standing }: Pick<OpenFile, 'standing'>): boolean {
  return standing === 'private' || standing === 'opened'
}

/** Reads small files, all of them into one buffer. */
export class SmallFileReader {
  // One byte more than the limit: a file that fills it is too large.
  readonly #bytes = Buffer.allocUnsafeSlow(AT_ONCE_BYTES + 1)

  /**
   * The entry of a key in its file; undefined if anything is wrong with the file. With `isHeld` the value has its own memory, else it is in
   * Node's pool. Throws what the file system throws.
   */
  read ({ path, key }: { readonly path: string, readonly key: Buffer }, isHeld: boolean): StoredEntry | undefined {
    const descriptor = openIfThere(path)
    if (descriptor === undefined) return undefined
    let count
    try {
      // By the descriptor, because the file at the path may be replaced meanwhile.
      if (!isTrusted({ standing: admitted(descriptor, fstatSync(descriptor)) })) return undefined
      count = readSync(descriptor, this.#bytes, 0, this.#bytes.length, 0)
    } catch {
      // A FIFO, for example. The slow read finds out.
      return undefined
    } finally {
      closeSync(descriptor)
    }
    const entry = count > AT_ONCE_BYTES ? undefined : decodeRecord(this.#bytes, key, count)
    return entry && { value: isHeld ? copyOf(entry.value) : Buffer.from(entry.value), expiresAt: entry.expiresAt }
  }
}

/** A copy that is not in the shared pool: a small value that is kept would keep the whole pool alive. */
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
 * Opens a file, and makes one of ours private again; undefined if there is no file. The caller must check whether it is trusted. Throws
 * what the file system throws.
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
 * The standing of an open file, which is made private again if it is ours. Its mode is not changed on a read-only disk, or if it has
 * another hard link, which may be somebody else's.
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
 * Notes the use of an open file, unless a recent use is noted. This is a hint: it is skipped if it can't be written, and for files with
 * another hard link. Returns the last noted use.
 */
export function touch ({ descriptor, expiresAt, usedAt, isShared }: OpenFile, at: number): number {
  if (isShared || at - usedAt <= TOUCH_AFTER_MS) return usedAt
  try {
    futimesSync(descriptor, ...timesOf(at, expiresAt))
  } catch {}
  return at
}

/** Reads all bytes of an open file and closes it. Returns fewer if the file was truncated. */
export function readAndClose ({ descriptor, size }: OpenFile): MaybePromise<Buffer> {
  // Not from the shared pool, for the same reason as in `copyOf`.
  const bytes = Buffer.allocUnsafeSlow(size)
  if (size > AT_ONCE_BYTES) return readLater(descriptor, bytes)
  try {
    return bytes.subarray(0, readSync(descriptor, bytes, 0, size, 0))
  } finally {
    closeSync(descriptor)
  }
}

/** The head of an open file, which stays open; undefined if it is damaged. */
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
