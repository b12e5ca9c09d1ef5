// Opens and reads an entry's file, synchronously if it is small. Does not follow links, and does not block on a FIFO or a device.
import { close, closeSync, constants, fchmodSync, fstatSync, futimesSync, openSync, read, readSync, type Stats } from 'node:fs'
import type { MaybePromise, StoredEntry } from '../../registry/backend.js'
import { codeOf } from './folder.js'
import { HEAD_BYTES, headBytesOf, decodeRecord, readHead, type Head } from '../../registry/codec.js'
import { OWNER_ONLY, standingOf, type Standing } from '../../registry/own-file.js'

// Opening a file must not follow links, block on a FIFO or a device, or update the access time (O_NOATIME), which `touch` sets.
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0) | (constants.O_NOATIME ?? 0)

// These errors mean that there is no file, or something that is not a file of ours. The next set replaces it.
const MISSES = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EMLINK', 'ENXIO', 'ENODEV', 'EISDIR', 'EACCES', 'EPERM'])

// Files up to this size are read synchronously: reading them from the page cache is faster than waiting for a thread.
const AT_ONCE_BYTES = 64 * 1024

/** A use is recorded only if the last recorded one is longer ago than this. That is exact enough for eviction. */
export const TOUCH_AFTER_MS = 60_000

const KEY_GUESS_BYTES = 512

/** The modification time of files that never expire. Not every file system supports later times. */
const LAST_MTIME_MS = Date.UTC(2400, 0)

/** Returns the times to set on a file, in seconds: as access time, that of the entry's last use; as modification time, its expiry time. */
export function timesOf (usedAt: number, expiresAt: number): [atime: number, mtime: number] {
  return [usedAt / 1_000, Math.min(expiresAt, LAST_MTIME_MS) / 1_000]
}

/** Returns the expiry time that a file's modification time stands for. */
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
  /** Whether the file has another hard link, which may belong to somebody else. */
  readonly isShared: boolean
  readonly standing: Standing
}

/** Returns whether the contents of a file may be trusted. */
export function isTrusted ({ standing }: Pick<OpenFile, 'standing'>): boolean {
  return standing === 'private' || standing === 'opened'
}

/** Reads small files. All reads use the same buffer. */
export class SmallFileReader {
  // The buffer is one byte larger than the limit, so a file that fills it is too large.
  readonly #bytes = Buffer.allocUnsafeSlow(AT_ONCE_BYTES + 1)

  /**
   * Returns the entry of a key from its file, or undefined if anything is wrong with the file. If `isHeld` is true, the caller will keep
   * the value, so it gets its own memory instead of Node's shared pool. Throws the file system's error if the file can't be opened.
   */
  read ({ path, key }: { readonly path: string, readonly key: Buffer }, isHeld: boolean): StoredEntry | undefined {
    const descriptor = openIfThere(path)
    if (descriptor === undefined) return undefined
    let count
    try {
      // The open descriptor is checked, not the path, because the file at the path may be replaced meanwhile.
      if (!isTrusted({ standing: admitted(descriptor, fstatSync(descriptor)) })) return undefined
      count = readSync(descriptor, this.#bytes, 0, this.#bytes.length, 0)
    } catch {
      // The file may be a FIFO, for example. The slow reader, which is called next, deals with it.
      return undefined
    } finally {
      closeSync(descriptor)
    }
    const entry = count > AT_ONCE_BYTES ? undefined : decodeRecord(this.#bytes, key, count)
    return entry && { value: isHeld ? copyOf(entry.value) : Buffer.from(entry.value), expiresAt: entry.expiresAt }
  }
}

/** Returns a copy outside Node's shared pool, because one small value in the pool would keep the whole pool alive. */
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
 * Opens a file, and makes it private again if it is ours. Returns undefined if there is no file. The caller must call `isTrusted`, and
 * close the file. Throws the errors of the file system.
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

/** Returns an open file's standing. Makes it private if it's ours and has no other hard link. Ignores errors: the disk may be read-only. */
function admitted (descriptor: number, stat: Stats): Standing {
  const standing = standingOf(stat)
  if (standing !== 'opened' || stat.nlink > 1) return standing
  try {
    fchmodSync(descriptor, OWNER_ONLY)
  } catch {}
  return standing
}

/**
 * Records a use of an open file as its access time, unless a recent use is already recorded. This time is only a hint for eviction, so
 * errors are ignored, and a file with another hard link is not changed. Returns the time of the last recorded use.
 */
export function touch ({ descriptor, expiresAt, usedAt, isShared }: OpenFile, at: number): number {
  if (isShared || at - usedAt <= TOUCH_AFTER_MS) return usedAt
  try {
    futimesSync(descriptor, ...timesOf(at, expiresAt))
  } catch {}
  return at
}

/** Reads all bytes of an open file and closes it. Returns fewer bytes if the file was truncated after it was opened. */
export function readAndClose ({ descriptor, size }: OpenFile): MaybePromise<Buffer> {
  // The buffer is not from Node's shared pool, because one small value in the pool would keep the whole pool alive.
  const bytes = Buffer.allocUnsafeSlow(size)
  if (size > AT_ONCE_BYTES) return readLater(descriptor, bytes)
  try {
    return bytes.subarray(0, readSync(descriptor, bytes, 0, size, 0))
  } finally {
    closeSync(descriptor)
  }
}

/** Reads the head of an open file, and leaves the file open. Returns undefined if the head is damaged. */
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
