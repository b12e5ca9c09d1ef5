// Loads the driver when it is first needed (better-sqlite3, or node:sqlite without it), and says what its errors mean.
import { createRequire } from 'node:module'
import { CACHE_ERR_DEPENDENCY_MISSING } from '../../registry/errors.js'
import type { Driver } from './driver-types.js'
import { nodeDriver } from './node-sqlite.js'

export type { Database, Driver, Statement } from './driver-types.js'

const PACKAGE = 'better-sqlite3'
const FIRST_NODE_OF_13 = 22

/** What `loadDriver` loads, and the versions that its error depends on. */
export interface Loading {
  readonly load?: () => Promise<{ default: unknown }>
  /** The version of the driver; null if it is not installed. */
  readonly driver?: string | null
  readonly node?: string
  /** Returns the driver over node:sqlite, or undefined if this Node doesn't have it. */
  readonly builtIn?: () => Driver | undefined
}

/**
 * Loads better-sqlite3, or node:sqlite if better-sqlite3 is not installed. If neither can be loaded, throws CACHE_ERR_DEPENDENCY_MISSING,
 * which says why and what to do.
 */
export async function loadDriver ({
  load = () => import('better-sqlite3'),
  driver: version = driverVersion() ?? null,
  node = process.versions.node,
  builtIn = nodeDriver
}: Loading = {}): Promise<Driver> {
  try {
    const driver = (await load()).default as Driver
    // A database is opened, because only then does the package look for its binary.
    new driver(':memory:', { timeout: 0 }).close() // eslint-disable-line new-cap
    return driver
  } catch (cause) {
    const other = version === null ? builtIn() : undefined
    if (other !== undefined) return other
    throw new CACHE_ERR_DEPENDENCY_MISSING('sqlite', PACKAGE, cureOf(cause, version, node), { cause })
  }
}

/** Returns why the driver could not be loaded, and what to do. */
function cureOf (cause: unknown, driver: string | null, node: string): string {
  const { code, message } = cause as { code?: unknown, message?: unknown }
  const isOldNode = Number.parseInt(node) < FIRST_NODE_OF_13
  if (driver === null) return `it is not installed: run npm install ${PACKAGE}${isOldNode ? '@12' : ''}`
  if (isOldNode && Number.parseInt(driver) >= 13) {
    return `version ${driver} needs Node ${FIRST_NODE_OF_13} or later, and this is Node ${node}: run npm install ${PACKAGE}@12`
  }
  if (code === 'ERR_DLOPEN_FAILED') {
    return `it is installed, but was built for another version of Node or another machine: run npm rebuild ${PACKAGE}`
  }
  if (/could not locate the bindings file/i.test(String(message))) {
    return `it is installed, but its binary is missing, because its install script did not run: allow install scripts, then run npm rebuild ${PACKAGE}`
  }
  return `it is installed, but can not be loaded (${String(message).split('\n', 1)[0]}): run npm rebuild ${PACKAGE}`
}

/** Returns the version of the installed driver, or undefined if it is not known. */
export function driverVersion (): string | undefined {
  try {
    return (createRequire(import.meta.url)(`${PACKAGE}/package.json`) as { version: string }).version
  } catch {
    return undefined
  }
}

/** Returns a warning if these versions together can abort the process in a garbage collection (WiseLibs/better-sqlite3#1515). */
export function driverWarning (driver: string | undefined, node: string): string | undefined {
  const [major, minor] = node.split('.').map(Number) as [number, number]
  const isNodeAffected = major > 24 || (major === 24 && minor >= 19)
  if (!isNodeAffected || driver === undefined || Number.parseInt(driver) >= 13) return undefined
  return `cache: ${PACKAGE} ${driver} can abort the process during garbage collection on Node 24.19 and later; run npm install ${PACKAGE}@13`
}

function codeOf (error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : ''
}

/**
 * Returns whether the same call may succeed later: somebody else has a lock, or has removed the journal that SQLite was about to remove,
 * as processes do that begin the file anew at the same time.
 */
export function isBusy (error: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED|PROTOCOL|IOERR_DELETE_NOENT)/.test(codeOf(error)) ||
    // A caller-owned database throws this while its owner iterates over the rows of a query.
    (error instanceof TypeError && error.message.includes('busy executing a query'))
}

/** Returns whether the error means that the file is damaged, or is not a database. */
export function isDamage (error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB)/.test(codeOf(error))
}

/** Returns whether the error means that a statement does not fit the table, which may have been dropped or altered. */
export function isStatementError (error: unknown): boolean {
  return /^SQLITE_(ERROR|SCHEMA|CONSTRAINT|MISMATCH)/.test(codeOf(error))
}

/** Returns whether the error means that the open file is no longer the one at the path. */
export function isMoved (error: unknown): boolean {
  return codeOf(error) === 'SQLITE_READONLY_DBMOVED'
}

/** Returns whether the error means that the file, or one beside it, can't be opened or written. `isMoved` is one case of this. */
export function isNoAccess (error: unknown): boolean {
  return /^SQLITE_(CANTOPEN|READONLY|PERM|AUTH)/.test(codeOf(error))
}

/** Returns whether the error means that the disk is full (FULL), or that a quota or a limit on file sizes is reached (a failed write). */
export function isFull (error: unknown): boolean {
  return /^SQLITE_(FULL|IOERR_(WRITE|SHMSIZE))/.test(codeOf(error))
}

/** Returns an error like those of the driver, for a problem that this backend notices before the driver does. */
export function driverError (code: `SQLITE_${string}`, message: string): Error {
  return Object.assign(new Error(message), { code })
}
