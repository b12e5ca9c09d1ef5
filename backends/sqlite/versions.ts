// Drops the tables of package versions with other formats. Each version has its own table, which is dropped if unused for a day.
import type { Database, Statement } from './driver.js'
import { countersName, leasesName, otherTables, type TableChoice } from './schema.js'

const UNUSED_MS = 86_400_000

// How many rows are deleted before the code looks at the clock again. Dropping a large table at once would block the event loop.
const ROWS_AT_ONCE = 16

/** Drops other formats' tables that are empty or unused for a day. Called inside a transaction. Returns true if nothing is left to do. */
export function dropUnusedTables (
  database: Database, choice: TableChoice, { at, hasTime }: { at: number, hasTime: () => boolean }
): boolean {
  for (const table of otherTables(database, choice)) {
    const prepare = (sql: string): Statement => database.prepare(sql.replaceAll('#', `"${table}"`)).safeIntegers(false)
    const usedAt = prepare('SELECT max(used_at) FROM #').pluck(true).get() as number | null
    if (usedAt !== null && usedAt > at - UNUSED_MS) continue
    const remove = prepare('DELETE FROM # WHERE rowid IN (SELECT rowid FROM # LIMIT ?)')
    while (remove.run(ROWS_AT_ONCE).changes > 0) if (!hasTime()) return false
    for (const each of [table, leasesName(table), countersName(table)]) database.exec(`DROP TABLE IF EXISTS "${each}"`)
  }
  return true
}
