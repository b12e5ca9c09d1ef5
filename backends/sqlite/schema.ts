// The table: what it looks like in each format, how it is known to be ours, and how it comes to be.
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import { driverError, type Database } from './driver.js'

/**
 * Changed with every change of the table below, that of a word: a table that reads otherwise is taken for altered. Versions of this
 * package that have different formats use one database at the same time, each its own table. Every format keeps the column `used_at`,
 * by which the others know when a table was last used.
 */
export const FORMAT = 1

const MARK = /\/\* fastify-response-cache format (\d+) \*\//

/** Which table of a database it is: the name that the option says, and the format. */
export interface TableChoice {
  readonly table: string
  readonly format: number
}

/** What is found under a table's name: nothing, all, the table without an index, or a table that is not as it was made. */
export type TableState = 'absent' | 'intact' | 'incomplete' | 'altered'

/** The table's own name. */
export function tableName ({ table, format }: TableChoice): string {
  return format === 1 ? table : `${table}_v${format}`
}

/**
 * A rowid table, since it appends where a table clustered by key would rewrite pages at random. Short columns stand
 * before the value, so that a long value is read only when it is wanted.
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

/** Makes the table unless it is there as it should be. Returns what was found. Throws CACHE_ERR_OPTION when it is not ours. */
export function ensureTable (database: Database, choice: TableChoice): TableState {
  if (tableState(database, choice) === 'intact') return 'intact'
  // The driver would not say so in a way that tells it from other mistakes.
  if (database.inTransaction) throw driverError('SQLITE_BUSY', 'the database is inside a transaction')
  database.exec('BEGIN IMMEDIATE')
  try {
    // Another process may have been quicker.
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

/** What is there under the table's name. Throws CACHE_ERR_OPTION when that is not ours. */
export function tableState (database: Database, choice: TableChoice): TableState {
  const name = tableName(choice)
  const found = database.prepare('SELECT coalesce(sql, type) FROM main.sqlite_master WHERE name = ? COLLATE NOCASE').pluck(true).get(name)
  if (found === undefined) return 'absent'
  if (formatOf(String(found)) !== choice.format) refuseForeign(name)
  const lacks = missing(database, choice)
  if (lacks.length === 0) return 'intact'
  return lacks[0] === statementsOf(choice)[0] ? 'altered' : 'incomplete'
}

/** The statements that have no effect to be seen, the table's first. */
function missing (database: Database, choice: TableChoice): string[] {
  const there = database.prepare('SELECT sql FROM main.sqlite_master WHERE tbl_name = ? COLLATE NOCASE AND sql IS NOT NULL')
    .pluck(true).all(tableName(choice)).map((sql) => wordsOf(String(sql)))
  return statementsOf(choice).filter((statement) => !there.includes(wordsOf(statement)))
}

/** A statement without what makes no difference: comments at the ends of lines, blanks, capitals. */
function wordsOf (sql: string): string {
  return sql.replace(/--.*|\s+/g, '').toLowerCase()
}

/** The tables in which versions of other formats keep what ours keeps in its own. */
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
  const expected = 'a name that is free in this database, or a table that this backend made; choose another name'
  throw new CACHE_ERR_OPTION('sqlite.table', expected, `'${name}', which is somebody else's`)
}
