// Every built-in backend, each time on an empty store, for tests that all backends must pass.
import { join } from 'node:path'
import KeyvSqlite from '@keyv/sqlite'
import root, { type Test } from 'tap'
import fsDriver from 'unstorage/drivers/fs'
import { builtIns } from '../../backends/index.js'
import type { CacheBackend } from '../../registry/backend.js'
import type { BackendChoice } from '../../registry/names.js'
import { newFolder } from './folder.js'
import { serve, TOKEN } from './http.js'
import { needs } from './programs.js'
import { startMemcached, type MemcachedServer } from './memcached-server.js'
import { startServer, type RedisServer } from './redis-server.js'

let prefixes = 0
let redis: Promise<RedisServer> | undefined
let memcached: Promise<MemcachedServer> | undefined

async function onRedis (): Promise<BackendChoice> {
  // One server per test file.
  const { url } = await (redis ??= startServer(root))
  return { backend: 'redis', options: { url, prefix: `${prefixes++}:` } }
}

export const EVERY: Readonly<Record<string, (t: Test) => Promise<BackendChoice>>> = {
  memory: async () => ({ backend: 'memory' }),
  file: async (t) => ({ backend: 'file', options: { dir: join(newFolder(t), 'cache') } }),
  sqlite: async (t) => ({ backend: 'sqlite', options: { path: join(newFolder(t), 'cache.db') } }),
  redis: onRedis,
  http: async (t) => ({ backend: 'http', options: { baseUrl: (await serve(t)).baseUrl, authToken: TOKEN } }),
  // By default a value may take a megabyte, overhead included.
  memcached: async () => ({
    backend: 'memcached',
    options: { server: (await (memcached ??= startMemcached(root, ['-I', '8m', '-m', '256']))).server, prefix: String(prefixes++) }
  }),
  keyv: async () => ({ backend: 'keyv', options: { store: new KeyvSqlite() } }),
  unstorage: async (t) => ({ backend: 'unstorage', options: { driver: fsDriver({ base: newFolder(t) }) } }),
  tiered: async () => ({ backend: 'tiered', options: { tiers: [{ backend: 'memory' }, await onRedis()], deadline: '10s' } })
}

const PROGRAMS: Readonly<Record<string, string>> = { redis: 'redis-server', tiered: 'redis-server', memcached: 'memcached' }

/** Options of a test on this backend: it is skipped if a program that the backend needs is missing. */
export function needsFor (name: string): { skip: string } | {} {
  const program = PROGRAMS[name]
  return program === undefined ? {} : needs(program)
}

/** Opens a backend; it is closed when the test ends. */
export async function opened (t: Test, choice: BackendChoice, now = Date.now): Promise<CacheBackend> {
  const backend = await builtIns().open(choice, { now })
  t.teardown(async () => await backend.close())
  return backend
}
