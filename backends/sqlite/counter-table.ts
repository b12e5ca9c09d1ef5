// The table of counters, beside that of the entries: numbers under names, which all processes share and which only grow.
import { storedText } from './codec.js'
import type { Database, Statement } from './driver.js'

/** The counters of one connection. */
export class CounterTable {
  readonly #read: Statement
  readonly #raise: Statement

  constructor (database: Database, table: string) {
    const number = (sql: string): Statement => database.prepare(sql.replace('#', `"${table}"`)).safeIntegers(false).pluck(true)
    this.#read = number("SELECT number FROM # WHERE name = ? AND typeof(number) = 'integer'")
    this.#raise = number('INSERT INTO # (name, number) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET ' +
      "number = CASE typeof(number) WHEN 'integer' THEN number + ? ELSE excluded.number END RETURNING number")
  }

  /** Returns the number, or undefined if there is none yet. */
  read (name: string): number | undefined {
    return this.#read.get(storedText(name)) as number | undefined
  }

  /** Makes the number larger by `by`, and returns it. Makes it if there is none yet. Called inside a transaction. */
  raise (name: string, by: number): number {
    return this.#raise.get(storedText(name), firstNumber(), by) as number
  }
}

/** Returns the first number of a counter: the time in microseconds. So a counter that was lost begins again with a larger number. */
function firstNumber (): number {
  return Date.now() * 1_000
}
