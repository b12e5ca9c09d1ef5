// The database file in the file system. Makes it private, notices if another file replaces it, and sets it aside if it is damaged.
import {
  accessSync, closeSync, constants, fchmodSync, fstatSync, lstatSync, openSync, readSync, renameSync, rmSync, statSync
} from 'node:fs'
import { show } from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import { MODES_ARE_FIXED, OWNER_ONLY, standingOf, whyForeign, type Standing } from '../../registry/own-file.js'

const DAMAGED = '.damaged'

const EXPECTED = 'a file of this user\'s own that can be written, and no link, in a directory that exists and can be written; ' +
  'create the directory, change the owner or the rights, or choose another path'

/** Throws CACHE_ERR_OPTION, because `path` can't be used. `why` says why not. */
export function refusePath (path: string, why: string): never {
  throw new CACHE_ERR_OPTION('sqlite.path', EXPECTED, `${show(path)} (${why})`)
}

/**
 * Creates the file if it is missing, so that only its owner can read and write it, whatever the umask is. SQLite gives the same mode to the
 * files beside it. Makes existing files private again. If one of them is world-writable, calls `noteSpoilt` with it and deletes all of
 * them. Throws CACHE_ERR_OPTION if the path can't be used.
 */
export function makePrivate (path: string, noteSpoilt: (path: string) => void): void {
  try {
    // The identity is read first, so that a file that another process creates meanwhile is not removed.
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
 * Returns whether the file at the path is still the one with this `identity`. Called after SQLite has opened the path. Does not notice if
 * the file was exchanged and put back in between, but only somebody who can write to the directory can do that. Throws CACHE_ERR_OPTION if
 * a file beside it does not belong to this user.
 */
export function isStill (path: string, identity: string | undefined): boolean {
  for (const file of filesOf(path)) if (standingAt(file) === 'foreign') refuseForeign(file)
  return identity !== undefined && identityOf(path) === identity
}

/** Returns the path of the file, and of all files beside it that SQLite trusts: the log, its index, and the journal of another mode. */
function filesOf (path: string): string[] {
  return [logOf(path), path + '-shm', path + '-journal', path]
}

/** Restricts our files to the current user. Returns the path of one that is world-writable, or undefined if none is. */
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

/** Returns the standing of a file. Does not open it, because closing it would release all locks that SQLite has on it in this process. */
function standingAt (path: string): Standing | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  return stat && standingOf(stat)
}

function refuseForeign (path: string): never {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  refusePath(path, (stat && whyForeign(stat)) ?? 'not a file')
}

/** Makes a file private. Uses a descriptor: if a link replaces the file meanwhile, the mode of the link's target is not changed. */
function closeToOthers (path: string): void {
  const file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
  try {
    if (standingOf(fstatSync(file)) === 'opened') fchmodSync(file, OWNER_ONLY)
  } finally {
    closeSync(file)
  }
}

/**
 * Removes the file and those beside it. Removes the log first, so that a process that opens the path in between does not find the old log
 * beside a new file. If another process does the same and has already created a new file, this removes nothing more.
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
    // A new file that is world-writable is refused, because each process that opens it would delete it and create another one.
    if (standingOf(fstatSync(file)) === 'spoilt') refusePath(path, `everybody can write it, and ${MODES_ARE_FIXED}`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPERM') refusePath(path, MODES_ARE_FIXED)
    throw error
  } finally {
    closeSync(file)
  }
}

/** Returns a string that uniquely identifies the file or link at `path`, or undefined if nothing is there. */
export function identityOf (path: string): string | undefined {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`
}

/** Returns the path of the write-ahead log that SQLite keeps beside the file. */
export function logOf (path: string): string {
  return path + '-wal'
}

/** Returns the size of a file, or 0 if it does not exist. */
export function bytesAt (path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** Removes the log of a file that is no longer at `path`, because SQLite would apply it to the file that is there now. */
export function removeLog (path: string): void {
  rmSync(logOf(path), { force: true })
  rmSync(path + '-shm', { force: true })
}

/** Moves the file and its log to another path, replacing any that were moved there earlier. Returns that path. */
export function setAside (path: string): string {
  const aside = path + DAMAGED
  for (const rest of ['', '-wal', '-shm']) rmSync(aside + rest, { force: true, recursive: true })
  // The log is moved first, so that no process finds the old log beside a new file.
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
 * Returns whether the file is shorter than its header says. SQLite would notice this only when it reads a missing page, and might write to
 * that page before. Returns false if there is a log, because then the cause may only be an interrupted checkpoint.
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
  // See https://sqlite.org/fileformat.html for the page size (1 means 65536), the number of pages, and whether that number is valid.
  const pageBytes = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16)
  const pages = header.readUInt32BE(28)
  return header.readUInt32BE(24) === header.readUInt32BE(92) && statSync(path).size < pages * pageBytes
}
