// The table of leases, beside that of the entries: reads and writes the records of keys for which tokens were given out.
import { afterKey, WITHOUT_END, type KeyRange } from './codec.js'
import type { Database, Statement } from './driver.js'
import { isLive, latestWrite, type Lease } from './lease-rules.js'
import { leasesName } from './schema.js'

/** What `list` returns of a record. */
export interface LeaseRow extends Pick<Lease, 'diesAt' | 'writtenAt'> {
  readonly key: string
}

const COLUMNS = 'epoch, given, stored, holder, lease_until, alone_until, dies_at, written_at'

type Columns = [epoch: string, ...numbers: [number, number, number, number, number, number, number]]

/** The records of one connection. Keys are stored keys. All methods that change records must be called inside a transaction. */
export class LeaseTable {
  readonly #sql: Readonly<Record<'busy' | 'find' | 'any' | 'write' | 'remove' | 'list', Statement>>

  /** `entries` is the name of the table of entries. */
  constructor (database: Database, entries: string) {
    const prepare = (sql: string): Statement =>
      database.prepare(sql.replace('#', `"${leasesName(entries)}"`).replace('@', `"${entries}"`)).safeIntegers(false)
    this.#sql = {
      busy: prepare('SELECT lease_until FROM # AS lease WHERE key = ? AND alone_until <= ? AND dies_at > ? AND written_at <= ? ' +
        'AND NOT EXISTS (SELECT 1 FROM @ WHERE key = lease.key AND expires_at > ? AND expires_at IS NOT ?)').pluck(true),
      find: prepare(`SELECT ${COLUMNS} FROM # WHERE key = ?`).raw(true),
      any: prepare('SELECT 1 FROM # LIMIT 1').pluck(true),
      write: prepare(`REPLACE INTO # (${COLUMNS}, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`),
      remove: prepare('DELETE FROM # WHERE key = ?'),
      // The key is read as a blob, because node:sqlite in Node 22 ends a text at a NUL.
      list: prepare('SELECT CAST(key AS BLOB) AS bytes, dies_at AS diesAt, written_at AS writtenAt FROM # ' +
        'WHERE key >= ? AND key < ? ORDER BY key LIMIT ?')
    }
  }

  /**
   * Returns for how long a claim without a token finds the key busy; 0 if it doesn't, or if an entry may have to be returned. The rules are
   * those of `unwritten`. They are repeated in SQL, because processes that wait for each other call this very often, and one statement
   * takes half the time of two.
   */
  busyMs (key: string, { at, now, seen }: { readonly at: number, readonly now: number, readonly seen: number | undefined }): number {
    const until = this.#sql.busy.get(key, at, at, latestWrite(at), now, seen ?? null)
    return typeof until === 'number' && until > at ? until - at : 0
  }

  /** Returns the record of a key. Returns undefined if there is none, or if it has died or another tool has damaged it. */
  find (key: string, at: number): Lease | undefined {
    const columns = this.#sql.find.get(key) as Columns | undefined
    if (columns === undefined) return undefined
    const [epoch, given, stored, holder, leaseUntil, aloneUntil, diesAt, writtenAt] = columns
    if (typeof epoch !== 'string' || !columns.slice(1).every(Number.isSafeInteger)) return undefined
    const lease = { epoch, given, stored, holder, leaseUntil, aloneUntil, diesAt, writtenAt }
    return isLive(lease, at) ? lease : undefined
  }

  /** Returns whether there is no record at all. If so, no token is valid. */
  isEmpty (): boolean {
    return this.#sql.any.get() === undefined
  }

  write (key: string, { epoch, given, stored, holder, leaseUntil, aloneUntil, diesAt, writtenAt }: Lease): void {
    this.#sql.write.run(epoch, given, stored, holder, leaseUntil, aloneUntil, diesAt, writtenAt, key)
  }

  /** Removes the record of a key, which makes all tokens for it invalid. */
  remove (key: string): void {
    this.#sql.remove.run(key)
  }

  /** Returns at most `max` records of a range of keys, in the order of their keys. */
  list ({ from, before }: KeyRange, max: number): LeaseRow[] {
    const rows = this.#sql.list.all(from, before, max) as Array<Omit<LeaseRow, 'key'> & { bytes: Uint8Array }>
    return rows.map(({ bytes, diesAt, writtenAt }) => ({ key: Buffer.from(bytes).toString(), diesAt, writtenAt }))
  }

  /** Looks at `max` records, beginning at a key, and removes dead ones. Returns the key at which to continue, or undefined at the end. */
  dropDead (from: KeyRange['from'], at: number, max: number): string | undefined {
    const rows = this.list({ from, before: WITHOUT_END }, max)
    for (const row of rows) if (!isLive(row, at)) this.remove(row.key)
    const last = rows.at(-1)
    return last === undefined || rows.length < max ? undefined : afterKey(last.key)
  }
}
