// The options of the backend `sqlite`: their types, their defaults and their checks.
import {
  checkOptions, duration, expects, hasMethods, isPositiveInteger, positiveInteger, text, type Duration
} from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import type { Database } from './driver.js'
import { leaseClock } from './lease-rules.js'
import { FORMAT } from './schema.js'

/** A caller-owned `Database` of better-sqlite3. It stays open. */
export interface LentDatabase {
  /** Compiles a statement. */
  prepare (sql: string): any
  /** Runs statements without values. */
  exec (sql: string): unknown
  /** Reads or sets a setting. */
  pragma (sql: string): unknown
}

/** Options of the backend `sqlite`. */
export interface SqliteOptions {
  /** The cache's own database file, or `':memory:'`. Its directory must exist. @default 'cache.db' */
  path?: string
  /** A caller-owned database of better-sqlite3, instead of `path`. Its settings are not changed, and it stays open. */
  database?: LentDatabase
  /** The table's name: a letter or `_`, then letters, digits and `_`, 63 characters at most. @default 'cache_entries' */
  table?: string
  /** The most entries that are kept. The least recently used are evicted first. @default none */
  maxEntries?: number
  /**
   * The most bytes of the file that may be in use, at least 65536. The least recently used entries are evicted first. A caller-owned
   * database has a limit only if this is given, and then it applies to the whole database, including other tables. @default 268435456
   */
  maxBytes?: number
  /** How often the backend removes expired entries and maintains the file. @default '5m' */
  cleanupInterval?: Duration
}

/** The default value of the option `path`. */
export const SQLITE_PATH = 'cache.db'

/** The default value of the option `table`. */
export const SQLITE_TABLE = 'cache_entries'

/** The default value of the option `maxBytes`: 256 MiB. */
export const SQLITE_MAX_BYTES = 256 * 1024 * 1024

/** The default value of the option `cleanupInterval`: five minutes, in milliseconds. */
export const SQLITE_CLEANUP_INTERVAL_MS = 5 * 60_000

/** The path of a database in memory. */
export const IN_MEMORY = ':memory:'

/** The options after validation, with defaults filled in and durations in milliseconds. */
export interface Settings {
  readonly path: string
  readonly database: Database | undefined
  readonly table: string
  /** The format of the table: the current one, except in tests. */
  readonly format: number
  /** The clock of leases: that of the machine, except in tests. */
  readonly leaseNow: () => number
  readonly maxEntries: number
  readonly maxBytes: number
  readonly cleanupIntervalMs: number
}

/** The least value of `maxBytes`. Empty tables and their indexes already take 8 pages of 4096 bytes. */
export const LEAST_BYTES = 65_536

const table = expects<string>("a letter or '_', then letters, digits and '_', 63 characters at most, and not begin with sqlite_", (value) =>
  typeof value === 'string' && /^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(value) && !/^sqlite_/i.test(value))

// A database with these methods works like one of better-sqlite3. A database of node:sqlite is refused, because it has no pragma().
const database = expects<LentDatabase>('an open, writable Database of better-sqlite3', (value) =>
  hasMethods(value, 'prepare', 'exec', 'pragma') &&
  (value as { open?: unknown }).open === true && (value as { readonly?: unknown }).readonly !== true)

const maxBytes = expects<number>(`an integer of at least ${LEAST_BYTES}`, (value) =>
  isPositiveInteger(value) && (value as number) >= LEAST_BYTES)

/** Returns the settings for `options`. Throws CACHE_ERR_OPTION if an option is wrong. */
export function readOptions (options: SqliteOptions): Settings {
  const given = checkOptions<SqliteOptions>('sqlite', options, {
    path: text, database, table, maxEntries: positiveInteger, maxBytes, cleanupInterval: duration()
  })
  if (given.path !== undefined && given.database !== undefined) {
    throw new CACHE_ERR_OPTION('sqlite.path', 'absent where sqlite.database is given; choose one of them', 'both')
  }
  return {
    path: given.path ?? SQLITE_PATH,
    database: given.database as Database | undefined,
    table: given.table ?? SQLITE_TABLE,
    format: FORMAT,
    leaseNow: leaseClock,
    maxEntries: given.maxEntries ?? Infinity,
    maxBytes: given.maxBytes ?? (given.database === undefined ? SQLITE_MAX_BYTES : Infinity),
    // The check has already converted the duration to milliseconds.
    cleanupIntervalMs: given.cleanupInterval as number | undefined ?? SQLITE_CLEANUP_INTERVAL_MS
  }
}
