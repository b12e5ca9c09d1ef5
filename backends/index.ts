// The list of built-in backends: name, type of options, lazily imported module.
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

// The augmentation is here and not in each backend, because one in a lazily imported module would not reach the published declarations.
declare module '../registry/names.js' {
  interface BackendOptions {
    /** In the process. */
    memory: MemoryOptions
    /** In a folder, one file per entry. */
    file: FileOptions
    /** In a table of a SQLite file. */
    sqlite: SqliteOptions
    /** In Redis, Valkey or a Cluster. */
    redis: RedisOptions
    /** Behind an HTTP service. */
    http: HttpOptions
    /** In two or more backends, near to far. */
    tiered: TieredOptions
    /** In what Keyv has an adapter for. */
    keyv: KeyvOptions
    /** In Memcached. */
    memcached: MemcachedOptions
    /** In what unstorage has a driver for. */
    unstorage: UnstorageOptions
  }
}

/** A fresh Registry that knows the built-in backends. */
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
