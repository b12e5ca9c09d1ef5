// The tables: their format, how they are recognised as ours, and how they are created.
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import { driverError, type Database } from './driver.js'

/**
 * This number must be increased with every change of the statements below, even of one word, because a table that a different statement
 * has created counts as altered. A new table beside the others is no such change: versions that don't know it leave it alone. Versions of
 * this package with different formats can share a database, because each has its own tables. The table of entries of every format must have
 * the column `used_at`, which tells other versions when it was last used. No other table of ours may have a column of this name.
 */
export const FORMAT = 1

const MARK = /\/\* fastify-response-cache format (\d+) \*\//

/** Identifies our table in a database: the name in the options, and the format. */
export interface TableChoice {
  readonly table: string
  readonly format: number
}

/** The state of a table: missing, complete, without an index, or changed by somebody else. */
type TableState = 'absent' | 'intact' | 'incomplete' | 'altered'

/** A table, and the statements that create it and its indexes. The table's statement comes first. */
interface Table {
  readonly name: string
  readonly statements: readonly string[]
}

/** Returns the table's name in the database. */
export function tableName ({ table, format }: TableChoice): string {
  return format === 1 ? table : `${table}_v${format}`
}

/** Returns the name of the table of leases. The option `table` allows no spaces, so this can't be the name of another cache's table. */
export function leasesName (table: string): string {
  return `${table} leases`
}

/** Returns the name of the table of counters. */
export function countersName (table: string): string {
  return `${table} counters`
}

/**
 * Returns the table of entries. It is a rowid table, which appends new rows. A table clustered by key would rewrite random pages instead.
 * Short columns come before the value, so that a long value is read only when it is needed.
 */
function entriesTable (choice: TableChoice): Table {
  const name = tableName(choice)
  return {
    name,
    statements: [`CREATE TABLE "${name}" ( /* fastify-response-cache format ${choice.format} */
    id INTEGER PRIMARY KEY,
    expires_at INTEGER NOT NULL, -- epoch milliseconds
    used_at INTEGER NOT NULL, -- epoch milliseconds, coarse
    key TEXT NOT NULL UNIQUE,
    value BLOB NOT NULL
  )`,
    `CREATE INDEX "${name}_expires_at" ON "${name}" (expires_at)`,
    `CREATE INDEX "${name}_used_at" ON "${name}" (used_at)`]
  }
}

/** Returns the table of leases. It has few rows, which live for a moment, so it is clustered by key and has no index. */
function leasesTable (choice: TableChoice): Table {
  const name = leasesName(tableName(choice))
  return {
    name,
    statements: [`CREATE TABLE "${name}" ( /* fastify-response-cache format ${choice.format} */
    key TEXT PRIMARY KEY,
    epoch TEXT NOT NULL,
    given INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    holder INTEGER NOT NULL,
    lease_until INTEGER NOT NULL, -- milliseconds since the machine was started, like the other instants
    alone_until INTEGER NOT NULL,
    dies_at INTEGER NOT NULL,
    written_at INTEGER NOT NULL
  ) WITHOUT ROWID`]
  }
}

function countersTable (choice: TableChoice): Table {
  const name = countersName(tableName(choice))
  return {
    name,
    statements: [`CREATE TABLE "${name}" ( /* fastify-response-cache format ${choice.format} */
    name TEXT PRIMARY KEY,
    number INTEGER NOT NULL
  ) WITHOUT ROWID`]
  }
}

function tablesOf (choice: TableChoice): Table[] {
  return [entriesTable(choice), leasesTable(choice), countersTable(choice)]
}

/**
 * Creates the tables that are not intact. Returns the names of those that somebody had altered. If the table of entries is created, all
 * leases are removed, because their tokens must not store what was made before the entries were lost. Throws CACHE_ERR_OPTION if a table
 * is not ours.
 */
export function ensureTables (database: Database, choice: TableChoice): string[] {
  if (lostTables(database, choice).length === 0) return []
  // BEGIN would fail too, but with an error that can't be distinguished from others.
  if (database.inTransaction) throw driverError('SQLITE_BUSY', 'the database is inside a transaction')
  database.exec('BEGIN IMMEDIATE')
  try {
    const altered: string[] = []
    for (const table of tablesOf(choice)) {
      // The state is read again, because another process may have created the table meanwhile.
      const state = tableState(database, table, choice.format)
      if (state === 'altered') {
        altered.push(table.name)
        database.exec(`DROP TABLE "${table.name}"`)
      }
      for (const statement of missing(database, table)) database.exec(statement)
      const isNew = table.name === tableName(choice) && (state === 'altered' || state === 'absent')
      if (isNew) database.exec(`DROP TABLE IF EXISTS "${leasesName(table.name)}"`)
    }
    database.exec('COMMIT')
    return altered
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/** Returns the names of the tables that are missing, incomplete or altered. Throws CACHE_ERR_OPTION if one is not ours. */
export function lostTables (database: Database, choice: TableChoice): string[] {
  return tablesOf(choice).filter((table) => tableState(database, table, choice.format) !== 'intact').map(({ name }) => name)
}

/** Returns the state of a table. Throws CACHE_ERR_OPTION if the table is not ours. */
function tableState (database: Database, table: Table, format: number): TableState {
  const found = database.prepare('SELECT coalesce(sql, type) FROM main.sqlite_master WHERE name = ? COLLATE NOCASE').pluck(true)
    .get(table.name)
  if (found === undefined) return 'absent'
  if (formatOf(String(found)) !== format) refuseForeign(table.name)
  const lacks = missing(database, table)
  if (lacks.length === 0) return 'intact'
  return lacks[0] === table.statements[0] ? 'altered' : 'incomplete'
}

/** Returns the statements whose table or index is missing or different. The table's statement comes first. */
function missing (database: Database, { name, statements }: Table): string[] {
  const there = database.prepare('SELECT sql FROM main.sqlite_master WHERE tbl_name = ? COLLATE NOCASE AND sql IS NOT NULL')
    .pluck(true).all(name).map((sql) => wordsOf(String(sql)))
  return statements.filter((statement) => !there.includes(wordsOf(statement)))
}

/** Converts a statement for a comparison: to lower case, without comments at the ends of lines and without whitespace. */
function wordsOf (sql: string): string {
  return sql.replace(/--.*|\s+/g, '').toLowerCase()
}

/** Returns the names of the tables that versions with other formats have created. */
export function otherTables (database: Database, { table, format }: TableChoice): string[] {
  const tables = database.prepare("SELECT name, sql FROM main.sqlite_master WHERE type = 'table' AND sql LIKE '%used_at%'").all() as
    Array<{ name: string, sql: string }>
  return tables.filter(({ name, sql }) => {
    const its = formatOf(sql)
    return its !== undefined && its !== format && name.toLowerCase() === tableName({ table, format: its }).toLowerCase()
  }).map(({ name }) => name)
}

function formatOf (sql: string): number | undefined {
  const mark = MARK.exec(sql)
  return mark === null ? undefined : Number(mark[1])
}

function refuseForeign (name: string): never {
  const expected = 'a name that is unused in this database, or a table that this backend created; choose another name'
  throw new CACHE_ERR_OPTION('sqlite.table', expected, `'${name}', which something else created`)
}
