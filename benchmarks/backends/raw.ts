// The raw drivers, for comparison. Each does only the work that the backend of the same store can't avoid.
import { closeSync, mkdirSync, openSync, readSync, renameSync, unlinkSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Redis } from 'ioredis'
import { LRUCache } from 'lru-cache'
import { Pool, type Dispatcher } from 'undici'
import { LIFE_MS, type Subject } from '../core/subject.js'

/** The options of a driver. */
export interface RawOptions {
  readonly driver: keyof typeof DRIVERS
  /** A folder that only this driver uses. */
  readonly folder: string
  readonly redisUrl: string
  readonly httpUrl: string
}

/** Opens a driver. A module in a `SubjectChoice` must export this function. */
export async function open (options: RawOptions): Promise<Subject> {
  return DRIVERS[options.driver](options)
}

const asBytes = (found: unknown): Uint8Array => found as Uint8Array

const DRIVERS = {
  map (): Subject {
    const entries = new Map<string, Buffer>()
    return {
      get: (key) => entries.get(key),
      set: (key, value) => { entries.set(key, value) },
      delete: (key) => { entries.delete(key) },
      bytesOf: asBytes,
      close () {}
    }
  },

  'lru-cache' (): Subject {
    const entries = new LRUCache<string, Buffer>({
      maxSize: 256 * 1024 * 1024, ttl: LIFE_MS, sizeCalculation: (value, key) => value.byteLength + key.length
    })
    return {
      get: (key) => entries.get(key),
      set: (key, value) => { entries.set(key, value) },
      delete: (key) => { entries.delete(key) },
      bytesOf: asBytes,
      close () {}
    }
  },

  fs ({ folder }: RawOptions): Subject {
    const pathOf = (key: string): string => join(folder, key.slice(-2), encodeURIComponent(key))
    for (let number = 0; number < 100; number++) mkdirSync(join(folder, String(number).padStart(2, '0')), { recursive: true })
    let aside = 0
    return {
      get: (key) => readWhole(pathOf(key)),
      set (key, value) {
        const path = join(folder, `aside-${aside++}`)
        const descriptor = openSync(path, 'wx')
        writeSync(descriptor, value)
        closeSync(descriptor)
        renameSync(path, pathOf(key))
      },
      delete (key) { unlinkSync(pathOf(key)) },
      bytesOf: asBytes,
      close () {}
    }
  },

  'better-sqlite3': ({ folder }: RawOptions): Subject => sqlite(new Database(join(folder, 'raw.db'))),

  async ioredis ({ redisUrl }: RawOptions): Promise<Subject> {
    // This is the driver that the backend uses.
    const require = createRequire(import.meta.url)
    const { Redis: Client } = createRequire(require.resolve('@fastify/redis'))('ioredis') as { Redis: typeof Redis }
    const client = new Client(redisUrl, { enableAutoPipelining: true })
    return {
      get: (key) => client.getBuffer(key),
      set: (key, value) => client.set(key, value, 'PXAT', Date.now() + LIFE_MS),
      delete: (key) => client.unlink(key),
      bytesOf: asBytes,
      close: () => client.quit()
    }
  },

  undici: ({ httpUrl }: RawOptions): Subject => http(httpUrl)
}

/** Reads a file with only three system calls, because the buffer is known to be large enough. */
function readWhole (path: string): Buffer {
  const bytes = Buffer.allocUnsafe(2_048)
  const descriptor = openSync(path, 'r')
  const read = readSync(descriptor, bytes, 0, bytes.length, 0)
  closeSync(descriptor)
  return bytes.subarray(0, read)
}

/** Opens the driver with the backend's settings. All writes of one turn of the event loop go into one transaction. */
function sqlite (database: Database.Database): Subject {
  for (const setting of ['journal_mode = WAL', 'synchronous = OFF']) database.pragma(setting)
  database.exec('CREATE TABLE entries (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value BLOB NOT NULL, expires_at INTEGER NOT NULL)')
  const find = database.prepare('SELECT value FROM entries WHERE key = ? AND expires_at > ?').pluck()
  const put = database.prepare(
    'INSERT INTO entries (key, value, expires_at) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at')
  const remove = database.prepare('DELETE FROM entries WHERE key = ?')
  let waiting: Array<() => void> = []
  let settled: Promise<void> | undefined
  const write = database.transaction((writes: ReadonlyArray<() => void>) => { for (const one of writes) one() })
  const later = (change: () => void): Promise<void> => {
    waiting.push(change)
    settled ??= new Promise((resolve) => setImmediate(() => {
      const writes = waiting
      waiting = []
      settled = undefined
      write(writes)
      resolve()
    }))
    return settled
  }
  return {
    get: (key) => find.get(key, Date.now()),
    set: (key, value) => later(() => put.run(key, value, Date.now() + LIFE_MS)),
    delete: (key) => later(() => remove.run(key)),
    bytesOf: asBytes,
    close: () => database.close()
  }
}

function http (url: string): Subject {
  const pool = new Pool(url, { connections: 100, pipelining: 1 })
  const ask = (method: Dispatcher.HttpMethod, key: string, body?: Buffer): Promise<Buffer | undefined> => new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let status = 0
    const headers = body === undefined ? {} : { 'cache-expires-at': String(Date.now() + LIFE_MS) }
    pool.dispatch({ method, path: `/cache/${encodeURIComponent(key)}`, headers, ...(body !== undefined && { body }) }, {
      onRequestStart () {},
      // Only the status distinguishes an entry from an error message.
      onResponseStart (_controller, statusCode) { status = statusCode },
      onResponseData (_controller, chunk) { chunks.push(chunk) },
      onResponseEnd () { resolve(status === 200 ? Buffer.concat(chunks) : undefined) },
      onResponseError (_controller, error) { reject(error) }
    })
  })
  return {
    get: (key) => ask('GET', key),
    set: (key, value) => ask('PUT', key, value),
    delete: (key) => ask('DELETE', key),
    bytesOf: asBytes,
    close: () => pool.destroy()
  }
}
