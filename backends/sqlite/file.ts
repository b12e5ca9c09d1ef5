// The database file from outside: made private, told apart from another one at the same path, set aside when damaged.
import { closeSync, fchmodSync, openSync, readSync, renameSync, rmSync, statSync } from 'node:fs'
import { show } from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'

const OWNER_ONLY = 0o600
const DAMAGED = '.damaged'

/** Throws CACHE_ERR_OPTION: nothing can be kept at this path. */
export function refusePath (path: string, why: string): never {
  throw new CACHE_ERR_OPTION('sqlite.path', 'a file that can be written in a directory that exists and can be written; create the directory, change its rights or choose another path', `${show(path)} (${why})`)
}

/**
 * Makes the file when there is none, readable and writable by its owner alone under any umask; SQLite gives the same
 * rights to what it writes beside it. Throws CACHE_ERR_OPTION when nothing can be kept there.
 */
export function makePrivate (path: string): void {
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) refusePath(path, 'not a file')
    const created = createIfAbsent(path)
    const file = created ?? openSync(path, 'r+')
    try {
      if (created !== undefined) fchmodSync(file, OWNER_ONLY)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    if (error instanceof CACHE_ERR_OPTION) throw error
    refusePath(path, (error as NodeJS.ErrnoException).code ?? 'unusable')
  }
}

function createIfAbsent (path: string): number | undefined {
  try {
    return openSync(path, 'wx+', OWNER_ONLY)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined
    throw error
  }
}

/** What tells one file from another that took its place; undefined when there is none. */
export function identityOf (path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`
}

/** The write-ahead log that SQLite keeps beside the file. */
export function logOf (path: string): string {
  return path + '-wal'
}

/** Removes the log of a file that is no longer at `path`: SQLite would play it into the file that is there now. */
export function removeLog (path: string): void {
  rmSync(logOf(path), { force: true })
  rmSync(path + '-shm', { force: true })
}

/** Moves the file, and the log that belongs to it, out of the way, in place of one moved before. Answers where it lies. */
export function setAside (path: string): string {
  const aside = path + DAMAGED
  for (const rest of ['', '-wal', '-shm']) rmSync(aside + rest, { force: true, recursive: true })
  // The log goes first: a process that opens the path in between must not find it beside a new file.
  moveIfPresent(logOf(path), logOf(aside))
  rmSync(path + '-shm', { force: true })
  moveIfPresent(path, aside)
  return aside
}

function moveIfPresent (from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

/**
 * Whether the file ends before its own header says that it does. SQLite finds that out page by page, and may have
 * written into the gap by then. A file with a log is left to SQLite: a checkpoint may have been cut short.
 */
export function isCutShort (path: string): boolean {
  if ((statSync(logOf(path), { throwIfNoEntry: false })?.size ?? 0) > 0) return false
  const header = Buffer.alloc(100)
  const file = openSync(path, 'r')
  try {
    if (readSync(file, header, 0, header.length, 0) < header.length) return false
  } finally {
    closeSync(file)
  }
  // https://sqlite.org/fileformat.html: page size (1 stands for 65536), pages, and whether that number is to be trusted.
  const pageBytes = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16)
  const pages = header.readUInt32BE(28)
  return header.readUInt32BE(24) === header.readUInt32BE(92) && statSync(path).size < pages * pageBytes
}
