// Lists the built-in backends: the name of each, the type of its options, and its module, which is imported when it is first used.
import { Registry } from '../registry/registry.js'
import type { FileOptions } from './file.js'
import type { HttpOptions } from './http.js'
import type { KeyvAdapter, KeyvOptions, LentKeyv } from './keyv.js'
import type { LentMemcached, MemcachedOptions } from './memcached.js'
import type { MemoryOptions } from './memory.js'
import type { LentRedis, RedisConnection, RedisOptions } from './redis.js'
import type { LentDatabase, SqliteOptions } from './sqlite.js'
import type { TieredOptions } from './tiered.js'
import type { LentStorage, UnstorageDriver, UnstorageOptions } from './unstorage.js'

// This declaration is not in the backends' modules, because they are imported lazily, so the published types would lack it.
declare module '../registry/names.js' {
  interface BackendOptions {
    /** Stores entries in the memory of the process. */
    memory: MemoryOptions
    /** Stores entries in a folder, one file per entry. */
    file: FileOptions
    /** Stores entries in a table of a SQLite database. */
    sqlite: SqliteOptions
    /** Stores entries in Redis or Valkey, standalone or as a cluster. */
    redis: RedisOptions
    /** Stores entries in a service, over HTTP. */
    http: HttpOptions
    /** Stores entries in two or more other backends, from near to far. */
    tiered: TieredOptions
    /** Stores entries in any store that Keyv has an adapter for. */
    keyv: KeyvOptions
    /** Stores entries in Memcached. */
    memcached: MemcachedOptions
    /** Stores entries in any store that unstorage has a driver for. */
    unstorage: UnstorageOptions
  }
}

/** Returns a new Registry with the built-in backends. */
export function builtIns (): Registry {
  return new Registry()
    .add('memory', async () => (await import('./memory.js')).default)
    .add('file', async () => (await import('./file.js')).default)
    .add('sqlite', async () => (await import('./sqlite.js')).default)
    .add('redis', async () => (await import('./redis.js')).default)
    .add('http', async () => (await import('./http.js')).default)
    .add('tiered', async () => (await import('./tiered.js')).default)
    .add('keyv', async () => (await import('./keyv.js')).default)
    .add('memcached', async () => (await import('./memcached.js')).default)
    .add('unstorage', async () => (await import('./unstorage.js')).default)
}

export type {
  FileOptions, HttpOptions, KeyvAdapter, KeyvOptions, LentDatabase, LentKeyv, LentMemcached, LentRedis, LentStorage, MemcachedOptions,
  MemoryOptions, RedisConnection, RedisOptions, SqliteOptions, TieredOptions, UnstorageDriver, UnstorageOptions
}
