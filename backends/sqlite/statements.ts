// Prepares the SQL statements, including all that read or change rows.
import type { Database, Statement } from './driver.js'

/** The prepared statements. Each has a name that says what it does. */
export type Statements = ReturnType<typeof statementsOf>

/** Prepares the statements for a table. */
export function statementsOf (database: Database, table: string) {
  const prepare = (sql: string): Statement =>
    database.prepare(sql.replace('#', `"${table}"`).replace('#', `"${table}"`)).safeIntegers(false)
  const number = (sql: string): Statement => prepare(sql).pluck(true)
  return {
    // The key is compared in the row too, not only in the index, so that a damaged index can't return another key's row.
    find: prepare(
      'SELECT found.id, found.expires_at, found.used_at, found.value FROM # AS named ' +
      'CROSS JOIN # AS found ON found.id = named.id AND +found.key = named.key WHERE named.key = ?')
      .raw(true),
    expiresAt: number('SELECT expires_at FROM # WHERE key = ?'),
    has: number('SELECT 1 FROM # WHERE key = ? AND expires_at > ?'),
    insert: prepare('INSERT INTO # (expires_at, used_at, key, value) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING'),
    update: prepare('UPDATE # SET expires_at = ?, used_at = ?, value = ? WHERE key = ?'),
    remove: prepare('DELETE FROM # WHERE key = ?'),
    touch: prepare('UPDATE # SET used_at = ? WHERE id = ?'),
    dropExpired: prepare('DELETE FROM # WHERE id IN (SELECT id FROM # WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)'),
    dropUnused: prepare('DELETE FROM # WHERE id IN (SELECT id FROM # ORDER BY used_at, id LIMIT ?)'),
    // The key is read as a blob, because node:sqlite in Node 22 ends a text at a NUL.
    list: prepare('SELECT CAST(key AS BLOB) AS bytes, expires_at AS expiresAt FROM # WHERE key >= ? AND key < ? ORDER BY key LIMIT ?'),
    valueBytes: number('SELECT length(value) FROM # WHERE key = ?'),
    latestUse: number('SELECT max(used_at) FROM #'),
    count: number('SELECT count(*) FROM #'),
    countLive: number('SELECT count(*) FROM # WHERE expires_at > ?'),
    pages: number('PRAGMA page_count'),
    freePages: number('PRAGMA freelist_count'),
    pageBytes: number('PRAGMA page_size'),
    foreignWrites: number('PRAGMA data_version'),
    lockWaitMs: number('PRAGMA busy_timeout'),
    begin: prepare('BEGIN IMMEDIATE'),
    commit: prepare('COMMIT'),
    rollback: prepare('ROLLBACK')
  }
}
