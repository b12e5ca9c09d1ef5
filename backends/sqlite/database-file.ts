// The database file from outside: made private, told apart from another one at the same path, set aside when damaged.
import {
  accessSync, closeSync, constants, fchmodSync, fstatSync, lstatSync, openSync, readSync, renameSync, rmSync, statSync
} from 'node:fs'
import { show } from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import { MODES_ARE_FIXED, OWNER_ONLY, standingOf, whyForeign, type Standing } from '../../registry/own-file.js'

const DAMAGED = '.damaged'

const EXPECTED = 'a file of this user\'s own that can be written, and no link, in a directory that exists and can be written; ' +
  'create the directory, change the owner or the rights, or choose another path'

/** Throws CACHE_ERR_OPTION: nothing can be kept at this path. */
export function refusePath (path: string, why: string): never {
  throw new CACHE_ERR_OPTION('sqlite.path', EXPECTED, `${show(path)} (${why})`)
}

/**
 * Makes the file when there is none, readable and writable by its owner alone under any umask; SQLite gives the same
 * rights to what it writes beside it. Files that are there are made so again. Where everybody could write one of them, all of them
 * are deleted, and `noteSpoilt` is told which it was. Throws CACHE_ERR_OPTION when nothing can be kept there.
 */
export function makePrivate (path: string, noteSpoilt: (path: string) => void): void {
  try {
    // Told before the look: another process that begins anew at the same time must not lose what it has begun.
    for (let identity = identityOf(path), spoilt; (spoilt = spoiltAt(path)) !== undefined; identity = identityOf(path)) {
      noteSpoilt(spoilt)
      removeAll(path, identity)
    }
    createIfAbsent(path)
    accessSync(path, constants.R_OK | constants.W_OK)
  } catch (error) {
    if (error instanceof CACHE_ERR_OPTION) throw error
    refusePath(path, (error as NodeJS.ErrnoException).code ?? 'unusable')
  }
}

/**
 * Whether the file is still the one that was looked at, now that SQLite has opened it by its path. One that is exchanged and put
 * back between two looks is not noticed; only who can write the directory can do that. Throws CACHE_ERR_OPTION when a file
 * beside it is not this user's own.
 */
export function isStill (path: string, identity: string | undefined): boolean {
  for (const file of filesOf(path)) if (standingAt(file) === 'foreign') refuseForeign(file)
  return identity !== undefined && identityOf(path) === identity
}

/** The file and all that SQLite reads beside it, which it believes: the log, the index of the log, the journal of another mode. */
function filesOf (path: string): string[] {
  return [logOf(path), path + '-shm', path + '-journal', path]
}

/** Makes private what is ours. Returns a file that everybody could write, undefined where there is none. */
function spoiltAt (path: string): string | undefined {
  let spoilt: string | undefined
  for (const file of filesOf(path)) {
    const standing = standingAt(file)
    if (standing === 'foreign') refuseForeign(file)
    if (standing === 'opened') closeToOthers(file)
    if (standing === 'spoilt') spoilt = file
  }
  return spoilt
}

/** Without opening it: to close a file lets go of every lock that SQLite holds on it in this process. */
function standingAt (path: string): Standing | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  return stat && standingOf(stat)
}

function refuseForeign (path: string): never {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  refusePath(path, (stat && whyForeign(stat)) ?? 'not a file')
}

/** By a descriptor: what comes to lie at the path meanwhile, a link to elsewhere, keeps its rights. */
function closeToOthers (path: string): void {
  const file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
  try {
    if (standingOf(fstatSync(file)) === 'opened') fchmodSync(file, OWNER_ONLY)
  } finally {
    closeSync(file)
  }
}

/**
 * The log goes first: a process that opens the path in between must not find it beside a new file. Another process may do the
 * same: where it has begun a new file by now, what lies there is that one's.
 */
export function removeAll (path: string, identity: string | undefined): void {
  for (const file of filesOf(path)) {
    if (identityOf(path) !== identity) return
    rmSync(file, { force: true })
  }
}

function createIfAbsent (path: string): void {
  let file
  try {
    file = openSync(path, 'wx+', OWNER_ONLY)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return
    throw error
  }
  try {
    fchmodSync(file, OWNER_ONLY)
    // Else each start, and each process that follows another's file, would delete it and begin anew.
    if (standingOf(fstatSync(file)) === 'spoilt') refusePath(path, `everybody can write it, and ${MODES_ARE_FIXED}`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPERM') refusePath(path, MODES_ARE_FIXED)
    throw error
  } finally {
    closeSync(file)
  }
}

/** What tells one file, or link, from another that took its place; undefined when there is none. */
export function identityOf (path: string): string | undefined {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`
}

/** The write-ahead log that SQLite keeps beside the file. */
export function logOf (path: string): string {
  return path + '-wal'
}

/** Bytes that a file takes, none where it is not there. */
export function bytesAt (path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** Removes the log of a file that is no longer at `path`: SQLite would play it into the file that is there now. */
export function removeLog (path: string): void {
  rmSync(logOf(path), { force: true })
  rmSync(path + '-shm', { force: true })
}

/** Moves the file, and the log that belongs to it, out of the way, in place of one moved before. Returns where it lies. */
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
  if (bytesAt(logOf(path)) > 0) return false
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
