// The part of better-sqlite3 that the backend uses.

/** The part of a prepared statement that this backend uses. */
export interface Statement {
  run (...values: unknown[]): { changes: number }
  get (...values: unknown[]): unknown
  all (...values: unknown[]): unknown[]
  pluck (on: boolean): this
  raw (on: boolean): this
  safeIntegers (on: boolean): this
}

/** The part of an open database that this backend uses. */
export interface Database {
  readonly inTransaction: boolean
  prepare (sql: string): Statement
  exec (sql: string): unknown
  pragma (sql: string): unknown
  close (): unknown
}

/** The default export of `better-sqlite3`, and what `nodeDriver` makes of node:sqlite. */
export type Driver = new (path: string, options: { timeout: number }) => Database
