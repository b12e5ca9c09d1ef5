// The table: its format, how it is recognised as ours, and how it is created.
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import { driverError, type Database } from './driver.js'

/**
 * This number must be increased with every change of the statements below, even of one word, because a table that a different statement
 * has created counts as altered. Versions of this package with different formats can share a database, because each has its own table.
 * Every format must have the column `used_at`, which tells other versions when a table was last used.
 */
export const FORMAT = 1

const MARK = /\/\* fastify-response-cache format (\d+) \*\//

/** Identifies our table in a database: the name in the options, and the format. */
export interface TableChoice {
  readonly table: string
  readonly format: number
}

/** The state of a table: missing, complete, without an index, or changed by somebody else. */
export type TableState = 'absent' | 'intact' | 'incomplete' | 'altered'

/** Returns the table's name in the database. */
export function tableName ({ table, format }: TableChoice): string {
  return format === 1 ? table : `${table}_v${format}`
}

/**
 * Returns the statements that create the table and its indexes. The table is a rowid table, which appends new rows. A table clustered by
 * key would rewrite random pages instead. Short columns come before the value, so that a long value is read only when it is needed.
 */
function statementsOf (choice: TableChoice): string[] {
  const name = tableName(choice)
  return [`CREATE TABLE "${name}" ( /* fastify-response-cache format ${choice.format} */
    id INTEGER PRIMARY KEY,
    expires_at INTEGER NOT NULL, -- epoch milliseconds
    used_at INTEGER NOT NULL, -- epoch milliseconds, coarse
    key TEXT NOT NULL UNIQUE,
    value BLOB NOT NULL
  )`,
  `CREATE INDEX "${name}_expires_at" ON "${name}" (expires_at)`,
  `CREATE INDEX "${name}_used_at" ON "${name}" (used_at)`]
}

/** Creates the table unless it is intact. Returns the state that it had before. Throws CACHE_ERR_OPTION if the table is not ours. */
export function ensureTable (database: Database, choice: TableChoice): TableState {
  if (tableState(database, choice) === 'intact') return 'intact'
  // BEGIN would fail too, but with an error that can't be distinguished from others.
  if (database.inTransaction) throw driverError('SQLITE_BUSY', 'the database is inside a transaction')
  database.exec('BEGIN IMMEDIATE')
  try {
    // The state is read again, because another process may have created the table meanwhile.
    const state = tableState(database, choice)
    if (state === 'altered') database.exec(`DROP TABLE "${tableName(choice)}"`)
    for (const statement of missing(database, choice)) database.exec(statement)
    database.exec('COMMIT')
    return state
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/** Returns the state of the table. Throws CACHE_ERR_OPTION if the table is not ours. */
export function tableState (database: Database, choice: TableChoice): TableState {
  const name = tableName(choice)
  const found = database.prepare('SELECT coalesce(sql, type) FROM main.sqlite_master WHERE name = ? COLLATE NOCASE').pluck(true).get(name)
  if (found === undefined) return 'absent'
  if (formatOf(String(found)) !== choice.format) refuseForeign(name)
  const lacks = missing(database, choice)
  if (lacks.length === 0) return 'intact'
  return lacks[0] === statementsOf(choice)[0] ? 'altered' : 'incomplete'
}

/** Returns the statements whose table or index is missing or different. The table's statement comes first. */
function missing (database: Database, choice: TableChoice): string[] {
  const there = database.prepare('SELECT sql FROM main.sqlite_master WHERE tbl_name = ? COLLATE NOCASE AND sql IS NOT NULL')
    .pluck(true).all(tableName(choice)).map((sql) => wordsOf(String(sql)))
  return statementsOf(choice).filter((statement) => !there.includes(wordsOf(statement)))
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
