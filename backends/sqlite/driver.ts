// The driver better-sqlite3: loaded when first needed, the part of it that is used, and what its errors mean.
import { createRequire } from 'node:module'
import { CACHE_ERR_DEPENDENCY_MISSING } from '../../registry/errors.js'

/** A prepared statement, as far as this backend uses one. */
export interface Statement {
  run (...values: unknown[]): { changes: number }
  get (...values: unknown[]): unknown
  all (...values: unknown[]): unknown[]
  pluck (on: boolean): this
  raw (on: boolean): this
  safeIntegers (on: boolean): this
}

/** An open database, as far as this backend uses one. */
export interface Database {
  readonly inTransaction: boolean
  prepare (sql: string): Statement
  exec (sql: string): unknown
  pragma (sql: string): unknown
  close (): unknown
}

/** What `better-sqlite3` exports. */
export type Driver = new (path: string, options: { timeout: number }) => Database

const PACKAGE = 'better-sqlite3'

/**
 * The driver. Throws CACHE_ERR_DEPENDENCY_MISSING when the package, or the binary that its install script fetches,
 * is not there.
 */
export async function loadDriver (load: () => Promise<{ default: unknown }> = () => import('better-sqlite3')): Promise<Driver> {
  try {
    const driver = (await load()).default as Driver
    // The package looks for its binary only when a database is opened.
    new driver(':memory:', { timeout: 0 }).close() // eslint-disable-line new-cap
    return driver
  } catch (cause) {
    throw new CACHE_ERR_DEPENDENCY_MISSING('sqlite', PACKAGE, PACKAGE, { cause })
  }
}

/** The version of the driver that is installed; undefined where that can't be told. */
export function driverVersion (): string | undefined {
  try {
    return (createRequire(import.meta.url)(`${PACKAGE}/package.json`) as { version: string }).version
  } catch {
    return undefined
  }
}

/**
 * The warning for these versions, if there is one: better-sqlite3 before 13 can abort the process during a garbage collection on
 * Node 24.19 and later (WiseLibs/better-sqlite3#1515).
 */
export function driverWarning (driver: string | undefined, node: string): string | undefined {
  const [major, minor] = node.split('.').map(Number) as [number, number]
  const isNodeAffected = major > 24 || (major === 24 && minor >= 19)
  if (!isNodeAffected || driver === undefined || Number.parseInt(driver) >= 13) return undefined
  return `cache: ${PACKAGE} ${driver} aborts the process at some garbage collection on Node 24.19 and later; run npm install ${PACKAGE}@13`
}

function codeOf (error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : ''
}

/** Whether the same call may succeed a little later: somebody else holds a lock. */
export function isBusy (error: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED|PROTOCOL)/.test(codeOf(error)) ||
    // A caller-owned database throws this while its owner walks through a query.
    (error instanceof TypeError && error.message.includes('busy executing a query'))
}

/** Whether the file is not, or no longer, a sound database. */
export function isDamage (error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB)/.test(codeOf(error))
}

/** Whether a statement failed for what it says: its table was dropped or altered, or a value breaks a rule of it. */
export function isStatementError (error: unknown): boolean {
  return /^SQLITE_(ERROR|SCHEMA|CONSTRAINT|MISMATCH)/.test(codeOf(error))
}

/** Whether what is open is no longer what is at the path. */
export function isMoved (error: unknown): boolean {
  return codeOf(error) === 'SQLITE_READONLY_DBMOVED'
}

/** Whether the file or what must be written beside it can't be opened or written; `isMoved` is one case of that. */
export function isNoAccess (error: unknown): boolean {
  return /^SQLITE_(CANTOPEN|READONLY|PERM|AUTH)/.test(codeOf(error))
}

/** Whether there is no room: on the disk (FULL), in a quota or below a limit on the size of files (a write that fails). */
export function isFull (error: unknown): boolean {
  return /^SQLITE_(FULL|IOERR_(WRITE|SHMSIZE))/.test(codeOf(error))
}

/** An error of the driver's kind, for what this backend finds out before the driver does. */
export function driverError (code: `SQLITE_${string}`, message: string): Error {
  return Object.assign(new Error(message), { code })
}
