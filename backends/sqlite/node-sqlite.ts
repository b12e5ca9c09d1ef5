// Gives Node's own module node:sqlite the interface of better-sqlite3, for applications in which better-sqlite3 is not installed.
import type { Database, Driver, Statement } from './driver-types.js'

interface StatementSync {
  run (...values: unknown[]): { changes: number | bigint }
  get (...values: unknown[]): Row | undefined
  all (...values: unknown[]): Row[]
  setReadBigInts (on: boolean): void
  /** Absent before Node 22.16. */
  setReturnArrays?: (on: boolean) => void
}

interface DatabaseSync {
  /** Absent before Node 22.16. */
  readonly isTransaction?: boolean
  prepare (sql: string): StatementSync
  exec (sql: string): void
  close (): void
}

/** A row: an object, or an array of its values. */
type Row = Readonly<Record<string, unknown>>

/** The part of node:sqlite that is used. */
interface NodeSqlite { readonly DatabaseSync: new (path: string) => DatabaseSync }

/** Returns the driver, or undefined if this Node doesn't have node:sqlite (before 22.13). */
export function nodeDriver (): Driver | undefined {
  const sqlite = process.getBuiltinModule('node:sqlite') as unknown as NodeSqlite | undefined
  return sqlite === undefined ? undefined : driverOf(sqlite)
}

function driverOf ({ DatabaseSync }: NodeSqlite): Driver {
  return class implements Database {
    readonly #database: DatabaseSync

    constructor (path: string, { timeout }: { timeout: number }) {
      this.#database = called(() => new DatabaseSync(path))
      this.exec(`PRAGMA busy_timeout = ${timeout}`)
    }

    get inTransaction (): boolean {
      return this.#database.isTransaction ?? isInTransaction(this.#database)
    }

    prepare (sql: string): Statement {
      return new NodeStatement(called(() => this.#database.prepare(sql)))
    }

    exec (sql: string): void {
      called(() => this.#database.exec(sql))
    }

    pragma (sql: string): unknown {
      return called(() => this.#database.prepare(`PRAGMA ${sql}`).all())
    }

    close (): void {
      called(() => this.#database.close())
    }
  }
}

/** Returns whether the database is inside a transaction, because only then no other can begin. The one that begins here takes no lock. */
function isInTransaction (database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN')
  } catch {
    return true
  }
  database.exec('ROLLBACK')
  return false
}

class NodeStatement implements Statement {
  readonly #statement: StatementSync
  #shaped: (row: Row) => unknown = (row) => row

  constructor (statement: StatementSync) {
    this.#statement = statement
  }

  run (...values: unknown[]): { changes: number } {
    return { changes: Number(called(() => this.#statement.run(...bound(values))).changes) }
  }

  get (...values: unknown[]): unknown {
    const row = called(() => this.#statement.get(...bound(values)))
    return row === undefined ? undefined : this.#shaped(row)
  }

  all (...values: unknown[]): unknown[] {
    return called(() => this.#statement.all(...bound(values))).map((row) => this.#shaped(row))
  }

  pluck (on: boolean): this {
    this.#shaped = on ? (row) => valuesOf(row)[0] : (row) => row
    return this
  }

  raw (on: boolean): this {
    this.#statement.setReturnArrays?.(on)
    this.#shaped = on ? valuesOf : (row) => row
    return this
  }

  safeIntegers (on: boolean): this {
    this.#statement.setReadBigInts(on)
    return this
  }
}

// Node 22 stores NULL for an empty blob whose buffer is empty, too.
const NO_BYTES = new Uint8Array(new ArrayBuffer(1), 0, 0)

function bound (values: unknown[]): unknown[] {
  return values.map((value) => value instanceof Uint8Array && value.byteLength === 0 ? NO_BYTES : value)
}

/** Returns the values of a row in the order of its columns. Blobs become Buffers, as with better-sqlite3. */
function valuesOf (row: Row): unknown[] {
  return Object.values(row).map((value) =>
    value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value)
}

/** The names of SQLite's result codes, as better-sqlite3 has them in `code`. Of the extended codes, those that the backend tells apart. */
const CODES: Readonly<Record<number, string>> = {
  1: 'ERROR',
  3: 'PERM',
  5: 'BUSY',
  6: 'LOCKED',
  8: 'READONLY',
  10: 'IOERR',
  11: 'CORRUPT',
  13: 'FULL',
  14: 'CANTOPEN',
  15: 'PROTOCOL',
  17: 'SCHEMA',
  19: 'CONSTRAINT',
  20: 'MISMATCH',
  23: 'AUTH',
  26: 'NOTADB',
  778: 'IOERR_WRITE',
  1032: 'READONLY_DBMOVED',
  4874: 'IOERR_SHMSIZE',
  5898: 'IOERR_DELETE_NOENT'
}

const PRIMARY_CODE = 0xff

/** Returns the result of a call. If it throws an error of SQLite's, gives the error the `code` that better-sqlite3 would give it. */
function called<T> (call: () => T): T {
  try {
    return call()
  } catch (err) {
    const { errcode } = err as { errcode?: number }
    if (errcode === undefined) throw err
    const code = CODES[errcode] ?? CODES[errcode & PRIMARY_CODE] ?? String(errcode)
    throw Object.assign(err as Error, { code: `SQLITE_${code}` })
  }
}
