// Walks over the keys of many entries, in steps of a few milliseconds, for `clear` and `keys`.
import { matchesGlob } from '../../registry/glob.js'
import type { Connection, KeyRow } from './connection.js'
import type { Disk } from './disk.js'
import type { CacheDatabase } from './database.js'
import { afterKey, keyOf, outsideOf, rangesOf, storedText, type KeyRange } from './codec.js'
import type { TimeSlices } from './time-slices.js'
import type { SqliteWriteQueue } from './write-queue.js'

const ROWS_AT_ONCE = 64

// If a clear removes many entries and keeps few, it replaces the table. That takes a few milliseconds, however many entries there are.
const MANY_ROWS = 1_000
const FEW_ROWS = 256
const FEW_BYTES = 1024 * 1024

interface Keyed { readonly key: string }
type List<R> = (connection: Connection, range: KeyRange, max: number) => R[]
type Look<R> = (connection: Connection, row: R) => void

/** What is walked over, and what each step is wrapped in. */
interface Walk<R> {
  readonly list: List<R>
  readonly within: <T>(connection: Connection, work: () => T) => T
}

const inTransaction: Walk<never>['within'] = (connection, work) => connection.transact(work)

/** Options and dependencies of a scan of the table. */
export interface SqliteScanOptions {
  readonly database: CacheDatabase
  readonly slices: TimeSlices
  readonly now: () => number
  readonly writes: SqliteWriteQueue
  readonly disk: Disk
}

/** Walks over the keys of one backend. */
export class SqliteScan {
  readonly #options: SqliteScanOptions

  constructor (options: SqliteScanOptions) {
    this.#options = options
  }

  /** Removes the entries of keys that begin with `prefix`, except those that are set after this call. */
  async clear (prefix: string): Promise<void> {
    const { writes, disk } = this.#options
    const later = new Set<string>()
    writes.clear(prefix)
    const flushed = writes.flush()
    const unlisten = writes.onCommitted((key) => later.add(key))
    try {
      await disk.withRoom(async () => await this.#clear(prefix, later), () => 'invalidation')
      await flushed
    } finally {
      unlisten()
    }
  }

  async #clear (prefix: string, later: ReadonlySet<string>): Promise<void> {
    const { slices, database } = this.#options
    await this.#voidTokens(prefix)
    const isMeant = (text: string): boolean => text.startsWith(prefix) && !later.has(text)
    if (await slices.retry(() => database.use((connection) => clearAtOnce(connection, prefix, { later, isMeant })))) return
    await this.#walk(prefix, (connection, { key }) => {
      if (isMeant(keyOf(key))) connection.remove(key)
    }, { list: listed, within: inTransaction })
  }

  /**
   * Makes all tokens invalid that were given out for these keys before. It is done before any entry is removed: an entry that was stored
   * with such a token is already in the table then, and is removed like the others. Tokens that are given out from now on stay valid.
   */
  async #voidTokens (prefix: string): Promise<void> {
    const { slices, database } = this.#options
    if (await slices.retry(() => database.use(({ leases }) => leases.isEmpty()))) return
    await this.#walk(prefix, ({ leases }, { key }) => {
      if (keyOf(key).startsWith(prefix)) leases.remove(key)
    }, { list: ({ leases }, range, max) => leases.list(range, max), within: inTransaction })
  }

  /** Returns the keys that match `pattern`, without those of expired entries. */
  async keys (pattern: string): Promise<string[]> {
    const { writes, now } = this.#options
    await writes.flush()
    const found = new Set<string>()
    const literal = pattern.slice(0, pattern.search(/[*?]|$/))
    await this.#walk(literal, (_connection, { key, expiresAt }) => {
      const text = keyOf(key)
      if (expiresAt > now() && matchesGlob(pattern, text)) found.add(text)
    }, { list: listed, within: (_connection, work) => work() })
    return [...found]
  }

  /** Calls `look` for every row that `list` returns of the ranges of `prefix`. If a step is repeated, `look` may get the same row again. */
  async #walk<R extends Keyed> (prefix: string, look: Look<R>, { list, within }: Walk<R>): Promise<void> {
    const { slices, database } = this.#options
    for (const { from, before } of rangesOf(prefix)) {
      let next: KeyRange['from'] | undefined = from
      await slices.steps((hasTime) => {
        next = database.use((connection) =>
          within(connection, () => walkSome(connection, { from: next as KeyRange['from'], before }, { list, look, hasTime })))
        return next === undefined
      })
    }
  }
}

interface Meant {
  /** The keys of entries that were committed since the clear was called. */
  readonly later: ReadonlySet<string>
  readonly isMeant: (key: string) => boolean
}

/** Clears by replacing the table, if that is faster. Returns whether it did. */
function clearAtOnce (connection: Connection, prefix: string, { later, isMeant }: Meant): boolean {
  const [range] = rangesOf(prefix) as [KeyRange]
  // If the prefix contains half a surrogate pair, the range also contains keys that don't begin with the prefix.
  if (range.from !== prefix || listed(connection, range, MANY_ROWS + 1).length <= MANY_ROWS) return false
  return connection.transact(() => {
    const others = outsideOf(range).flatMap((outside) => listed(connection, outside, FEW_ROWS + 1))
    if (others.length + later.size > FEW_ROWS) return false
    const kept = new Set([...others.map(({ key }) => key).filter((key) => !isMeant(keyOf(key))), ...[...later].map(storedText)])
    return bytesOf(connection, kept) <= FEW_BYTES && connection.clear(kept)
  })
}

/** Walks until the time of the step is over. Returns the key at which to continue, or undefined if the walk has reached its end. */
function walkSome<R extends Keyed> (
  connection: Connection, { from, before }: KeyRange, { list, look, hasTime }: { list: List<R>, look: Look<R>, hasTime: () => boolean }
): KeyRange['from'] | undefined {
  for (let start = from; ;) {
    const rows = list(connection, { from: start, before }, ROWS_AT_ONCE)
    for (const row of rows) look(connection, row)
    const last = rows.at(-1)
    if (last === undefined || rows.length < ROWS_AT_ONCE) return undefined
    start = afterKey(last.key)
    if (!hasTime()) return start
  }
}

function listed (connection: Connection, { from, before }: KeyRange, max: number): KeyRow[] {
  const rows = connection.sql.list.all(from, before, max) as Array<{ bytes: Uint8Array, expiresAt: number }>
  return rows.map(({ bytes, expiresAt }) => ({ key: Buffer.from(bytes).toString(), expiresAt }))
}

function bytesOf (connection: Connection, keys: Iterable<string>): number {
  let bytes = 0
  for (const key of keys) bytes += (connection.sql.valueBytes.get(key) as number | undefined) ?? 0
  return bytes
}
