// A SQLite backend for a test: a clock that stands still, its warnings, its cleanup on command, a second connection.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Test } from 'tap'
import type { SqliteOptions } from '../../backends/sqlite.js'
import { SqliteBackend } from '../../backends/sqlite/backend.js'
import { loadDriver, type Driver } from '../../backends/sqlite/driver.js'
import { leaseClock } from '../../backends/sqlite/lease-rules.js'
import { readOptions } from '../../backends/sqlite/options.js'
import { FORMAT } from '../../backends/sqlite/schema.js'
import type { CacheBackend } from '../../registry/backend.js'
import { byHand } from './by-hand.js'
import { testClock } from './clock.js'
import { entry } from './entries.js'
import { newFolder } from './folder.js'

export interface OpenedSqlite {
  readonly backend: Required<CacheBackend>
  readonly warnings: ReadonlyArray<Record<string, unknown>>
  /** Runs the background task once. */
  cleanup (): Promise<void>
}

export interface OpenSqliteOptions {
  readonly now?: () => number
  /** The format of another version of the package. */
  readonly format?: number
  /** The clock of leases. */
  readonly leaseNow?: () => number
  readonly driver?: Driver
}

export async function openSqlite (
  t: Test, options: SqliteOptions, { now = testClock().now, format = FORMAT, leaseNow = leaseClock, driver: given }: OpenSqliteOptions = {}
): Promise<OpenedSqlite> {
  const warnings: Array<Record<string, unknown>> = []
  const { background, cleanup } = byHand(t)
  const driver = options.database === undefined ? given ?? await loadDriver() : undefined
  const backend = await SqliteBackend.open({ ...readOptions(options), format, leaseNow }, driver, {
    now,
    log: { debug () {}, info () {}, error () {}, warn: (details, message) => { warnings.push({ ...details, message }) } },
    signal: new AbortController().signal,
    background,
    open: () => { throw new Error('opens no other backend') }
  }) as Required<CacheBackend>
  t.teardown(() => backend.close())
  return { backend, warnings, cleanup }
}

/** A second connection to the same file, for the test itself. */
export function beside (t: Test, path: string): Database.Database {
  const database = new Database(path, { timeout: 0 })
  t.teardown(() => { database.close() })
  return database
}

/** `filledFile` writes this value under `key-0`, `key-1`, ... */
export const FILLED = { entries: 500, value: 'v'.repeat(400) }

/** The path of a closed database file with some entries. */
export async function filledFile (t: Test): Promise<string> {
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  await Promise.all(Array.from({ length: FILLED.entries }, (_, at) => backend.set(`key-${at}`, entry(FILLED.value, Infinity))))
  await backend.close()
  return path
}

/** Rewrites the file with what `how` makes of its bytes, in place or as a new buffer. */
export function changeFile (path: string, how: (bytes: Buffer) => Buffer | undefined): void {
  const bytes = readFileSync(path)
  writeFileSync(path, how(bytes) ?? bytes)
}
