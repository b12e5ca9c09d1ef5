// What walks over many keys: clear by prefix and keys by pattern, in steps of a few milliseconds.
import { matchesGlob } from '../../registry/glob.js'
import type { Connection, Listed } from './connection.js'
import type { Home } from './home.js'
import { afterKey, keyOf, rangesOf, type KeyRange } from './keys.js'
import type { Pace } from './pace.js'
import type { Writes } from './writes.js'

const ROWS_AT_ONCE = 64

type Look = (connection: Connection, row: Listed) => void
type Within = <T>(connection: Connection, work: () => T) => T

/** What a listing needs around it. */
export interface ListingOptions {
  readonly home: Home
  readonly pace: Pace
  readonly now: () => number
  readonly writes: Writes
}

/** Walks over the keys of one backend. */
export class Listing {
  readonly #options: ListingOptions

  constructor (options: ListingOptions) {
    this.#options = options
  }

  /** Forgets what was put, before this call, under keys that begin with `prefix`. */
  async clear (prefix: string): Promise<void> {
    const { writes } = this.#options
    const later = new Set<string>()
    writes.clear(prefix)
    const forgotten = writes.flush()
    const unlisten = writes.onCommitted((key) => later.add(key))
    try {
      await this.#walk(prefix, (connection, { key }) => {
        const text = keyOf(key)
        if (text.startsWith(prefix) && !later.has(text)) connection.remove(key)
      }, (connection, work) => connection.transact(work))
      await forgotten
    } finally {
      unlisten()
    }
  }

  /** The keys of live entries that match `pattern`. */
  async keys (pattern: string): Promise<string[]> {
    const { writes, now } = this.#options
    await writes.flush()
    const found = new Set<string>()
    const literal = pattern.slice(0, pattern.search(/[*?]|$/))
    await this.#walk(literal, (_connection, { key, expiresAt }) => {
      const text = keyOf(key)
      if (expiresAt > now() && matchesGlob(pattern, text)) found.add(text)
    })
    return [...found]
  }

  /** Shows `look` every row where keys with this prefix are stored. A row may be shown again when a step is. */
  async #walk (prefix: string, look: Look, within: Within = (_connection, work) => work()): Promise<void> {
    const { pace, home } = this.#options
    for (const { from, before } of rangesOf(prefix)) {
      let next: string | undefined = from
      await pace.steps((hasTime) => {
        next = home.use((connection) => within(connection, () => walkSome(connection, { from: next as string, before }, { look, hasTime })))
        return next === undefined
      })
    }
  }
}

/** Walks as far as time allows. Answers where to go on; undefined at the end. */
function walkSome (connection: Connection, { from, before }: KeyRange, { look, hasTime }: { look: Look, hasTime: () => boolean }): string | undefined {
  for (let start = from; ;) {
    const rows = connection.sql.list.all(start, before, ROWS_AT_ONCE) as Listed[]
    for (const row of rows) look(connection, row)
    const last = rows.at(-1)
    if (last === undefined || rows.length < ROWS_AT_ONCE) return undefined
    start = afterKey(last.key)
    if (!hasTime()) return start
  }
}
