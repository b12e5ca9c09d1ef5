// The options of the backend `sqlite`: their shape, their defaults, their checks.
import {
  checkOptions, duration, expects, hasMethods, isPositiveInteger, positiveInteger, text, type Duration
} from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import type { Database } from './driver.js'
import { FORMAT } from './schema.js'

/** A better-sqlite3 `Database` of the application's own. It is used and left open. */
export interface LentDatabase {
  /** A statement, compiled. */
  prepare (sql: string): any
  /** Runs statements without values. */
  exec (sql: string): unknown
  /** Reads or sets a setting. */
  pragma (sql: string): unknown
}

/** Options of the backend `sqlite`. */
export interface SqliteOptions {
  /** The database file, the cache's own; `':memory:'` keeps everything in memory. Its directory must exist. @default 'cache.db' */
  path?: string
  /** A better-sqlite3 database to be used in place of `path`. Its settings stay as they are, and it is left open. */
  database?: LentDatabase
  /** The table: a letter or `_`, then letters, digits and `_`, 63 characters at most. @default 'cache_entries' */
  table?: string
  /** Entries held at most; the least recently used go first. @default none */
  maxEntries?: number
  /**
   * Bytes of the file in use at most, 65536 at least; the least recently used entries go first. A lent database is
   * bounded only when this is given, and then as a whole, since it holds other things too. @default 268435456
   */
  maxBytes?: number
  /** How often expired entries are dropped and the file is looked after. @default '5m' */
  cleanupInterval?: Duration
}

/** @default for `path` */
export const SQLITE_PATH = 'cache.db'

/** @default for `table` */
export const SQLITE_TABLE = 'cache_entries'

/** @default for `maxBytes`: 256 MiB */
export const SQLITE_MAX_BYTES = 256 * 1024 * 1024

/** @default for `cleanupInterval`: five minutes, in milliseconds */
export const SQLITE_CLEANUP_INTERVAL_MS = 5 * 60_000

/** The path that is no file. */
export const IN_MEMORY = ':memory:'

/** The options as the code works with them. */
export interface Settings {
  readonly path: string
  readonly database: Database | undefined
  readonly table: string
  /** The format of the table, another one than the present in tests alone. */
  readonly format: number
  readonly maxEntries: number
  readonly maxBytes: number
  readonly cleanupIntervalMs: number
}

/** The empty table and its indexes take 7 pages of 4096 bytes; below this there is no room to work in. */
export const LEAST_BYTES = 65_536

const table = expects<string>("a letter or '_', then letters, digits and '_', 63 characters at most, and not begin with sqlite_", (value) =>
  typeof value === 'string' && /^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(value) && !/^sqlite_/i.test(value))

// A driver that has these answers like better-sqlite3; node:sqlite has no pragma().
const database = expects<LentDatabase>('an open, writable Database of better-sqlite3', (value) =>
  hasMethods(value, 'prepare', 'exec', 'pragma') &&
  (value as { open?: unknown }).open === true && (value as { readonly?: unknown }).readonly !== true)

const maxBytes = expects<number>(`an integer of at least ${LEAST_BYTES}`, (value) =>
  isPositiveInteger(value) && (value as number) >= LEAST_BYTES)

/** The settings that `options` stand for. Throws CACHE_ERR_OPTION. */
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
    maxEntries: given.maxEntries ?? Infinity,
    maxBytes: given.maxBytes ?? (given.database === undefined ? SQLITE_MAX_BYTES : Infinity),
    // The check turned the duration into milliseconds.
    cleanupIntervalMs: given.cleanupInterval as number | undefined ?? SQLITE_CLEANUP_INTERVAL_MS
  }
}
