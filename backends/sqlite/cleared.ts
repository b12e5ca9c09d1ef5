// Clears very many entries: replaces the table with an empty one at once, and deletes the old rows later.
import { randomBytes } from 'node:crypto'
import type { Database } from './driver.js'

// The option `table` allows no spaces, so this can't be the name of another cache's table.
const asideOf = (table: string, which: string): string => `${table} cleared ${which}`

/**
 * Renames `table`, creates an empty one, and copies the rows of the stored keys `kept` to it. Called inside a transaction. Renaming takes
 * no time, while deleting the rows or dropping the table would take time for each page.
 */
export function putAside (database: Database, table: string, kept: Iterable<string>): void {
  const aside = asideOf(table, randomBytes(6).toString('hex'))
  const made = database.prepare(
    'SELECT type, name, sql FROM main.sqlite_master WHERE tbl_name = ? COLLATE NOCASE AND sql IS NOT NULL ORDER BY type DESC')
    .all(table) as Array<{ type: string, name: string, sql: string }>
  // The old indexes are dropped. They are not needed any more, and can't be renamed to free their names.
  for (const { type, name } of made) if (type === 'index') database.exec(`DROP INDEX "${name}"`)
  database.exec(`ALTER TABLE "${table}" RENAME TO "${aside}"`)
  for (const { sql } of made) database.exec(sql)
  const keep = database.prepare(`INSERT INTO "${table}" SELECT * FROM "${aside}" WHERE key = ?`)
  for (const key of kept) keep.run(key)
}

/** Deletes at most `max` rows of a table that any process has put aside, and drops it once it is empty. Returns whether there was one. */
export function sweepAside (database: Database, table: string, max: number): boolean {
  const aside = database.prepare("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name GLOB ? LIMIT 1").pluck(true)
    .get(asideOf(table, '*')) as string | undefined
  if (aside === undefined) return false
  const { changes } = database.prepare(`DELETE FROM "${aside}" WHERE id IN (SELECT id FROM "${aside}" ORDER BY id LIMIT ?)`).run(max)
  if (changes < max) database.exec(`DROP TABLE "${aside}"`)
  return true
}
