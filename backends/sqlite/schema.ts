// The table: what it looks like, how it is known to be ours, and how it comes to be.
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import { driverError, type Database } from './driver.js'

// Changed with every change of the columns. A table of another format is dropped: it is a cache.
const FORMAT = 1
const MARK = /\/\* fastify-response-cache format (\d+) \*\//

/**
 * A rowid table, since it appends where a table clustered by key would rewrite pages at random. Short columns stand
 * before the value, so that a long value is read only when it is wanted.
 */
function createTable (table: string): string {
  return `CREATE TABLE "${table}" ( /* fastify-response-cache format ${FORMAT} */
    id INTEGER PRIMARY KEY,
    expires_at INTEGER NOT NULL, -- epoch milliseconds
    used_at INTEGER NOT NULL, -- epoch milliseconds, coarse
    key TEXT NOT NULL UNIQUE,
    value BLOB NOT NULL
  );
  CREATE INDEX "${table}_expires_at" ON "${table}" (expires_at);
  CREATE INDEX "${table}_used_at" ON "${table}" (used_at);`
}

/** Makes the table unless it is there. Throws CACHE_ERR_OPTION when a table of this name is not ours. */
export function ensureTable (database: Database, table: string): void {
  if (formatOf(database, table) === FORMAT) return
  // The driver would not say so in a way that tells it from other mistakes.
  if (database.inTransaction) throw driverError('SQLITE_BUSY', 'the database is inside a transaction')
  database.exec('BEGIN IMMEDIATE')
  try {
    // Another process may have been quicker.
    const format = formatOf(database, table)
    if (format !== FORMAT) {
      if (format !== undefined) database.exec(`DROP TABLE "${table}"`)
      database.exec(createTable(table))
    }
    database.exec('COMMIT')
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/** The format number of our table; undefined when nothing has that name. */
function formatOf (database: Database, table: string): number | undefined {
  const sql = database.prepare('SELECT coalesce(sql, type) FROM main.sqlite_master WHERE name = ? COLLATE NOCASE').pluck(true).get(table)
  if (sql === undefined) return undefined
  const mark = MARK.exec(String(sql))
  if (mark !== null) return Number(mark[1])
  throw new CACHE_ERR_OPTION('sqlite.table', 'a name that is free in this database, or a table that this backend made; choose another name', `'${table}', which is somebody else's`)
}
