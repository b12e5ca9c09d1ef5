// The one list of built-in backends: name, options type, lazy module.
import { Registry } from '../registry/registry.js'
import type { MemoryOptions } from './memory.js'
import type { LentRedis, RedisConnection, RedisOptions } from './redis.js'
import type { SqliteOptions } from './sqlite.js'

// The augmentation stands here and not in each backend: a lazily imported module's augmentation does not reach
// the published declarations.
declare module '../registry/names.js' {
  interface BackendOptions {
    memory: MemoryOptions
    sqlite: SqliteOptions
    redis: RedisOptions
  }
}

/** A fresh Registry that knows the built-in backends. */
export function builtIns (): Registry {
  return new Registry()
    .add('memory', async () => (await import('./memory.js')).default)
    .add('sqlite', async () => (await import('./sqlite.js')).default)
    .add('redis', async () => (await import('./redis.js')).default)
}

export type { LentRedis, MemoryOptions, RedisConnection, RedisOptions, SqliteOptions }
