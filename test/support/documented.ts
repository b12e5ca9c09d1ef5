// Which table of the docs documents which options, and where their defaults are in the code.
import { FILE_CLEANUP_INTERVAL_MS, FILE_DIR, FILE_FSYNC, FILE_MAX_BYTES } from '../../backends/file.js'
import { HTTP_MAX_CONNECTIONS, HTTP_MAX_RETRIES, HTTP_MAX_VALUE_BYTES, HTTP_TIMEOUT_MS } from '../../backends/http.js'
import { KEYV_CLEANUP_INTERVAL_MS, KEYV_PREFIX, KEYV_TIMEOUT_MS } from '../../backends/keyv.js'
import { MEMCACHED_PREFIX, MEMCACHED_TIMEOUT_MS } from '../../backends/memcached.js'
import { MEMORY_MAX_BYTES } from '../../backends/memory.js'
import { REDIS_PREFIX } from '../../backends/redis.js'
import { REDIS_MAX_VALUE_BYTES } from '../../backends/redis/options.js'
import { SQLITE_CLEANUP_INTERVAL_MS, SQLITE_MAX_BYTES, SQLITE_PATH, SQLITE_TABLE } from '../../backends/sqlite.js'
import { TIERED_DEADLINE_MS, TIERED_NEAR_TTL_MS } from '../../backends/tiered.js'
import { UNSTORAGE_CLEANUP_INTERVAL_MS, UNSTORAGE_PREFIX, UNSTORAGE_TIMEOUT_MS } from '../../backends/unstorage.js'
import { KEY_DEFAULTS, ROUTE_DEFAULTS } from '../../response/options/route-options.js'
import * as settings from '../../response/options/plugin-options.js'
import { VALUE_DEFAULTS } from '../../response/data/value-options.js'

export interface Documented {
  readonly heading: string
  /** File and interface that declare the options. */
  readonly at: ReadonlyArray<readonly [path: string, name: string]>
  /** The constants in the code. An option that is left out has no default, or none that is a plain value. */
  readonly constants: Readonly<Record<string, unknown>>
  /** Options that no interface declares separately, with the default in the docs. */
  readonly others?: Readonly<Record<string, string>>
}

const FILE_DEFAULTS = { dir: FILE_DIR, maxBytes: FILE_MAX_BYTES, cleanupInterval: FILE_CLEANUP_INTERVAL_MS, fsync: FILE_FSYNC }
const SQLITE_DEFAULTS = { path: SQLITE_PATH, table: SQLITE_TABLE, maxBytes: SQLITE_MAX_BYTES, cleanupInterval: SQLITE_CLEANUP_INTERVAL_MS }
const HTTP_DEFAULTS = {
  timeout: HTTP_TIMEOUT_MS, maxRetries: HTTP_MAX_RETRIES, maxConnections: HTTP_MAX_CONNECTIONS, maxValueBytes: HTTP_MAX_VALUE_BYTES
}
const { backend, ...PLUGIN_DEFAULTS } = settings.PLUGIN_DEFAULTS

export const DOCUMENTED: readonly Documented[] = [
  {
    heading: '## Plugin options',
    at: [['response/options/plugin-options.ts', 'CommonOptions']],
    constants: { ...PLUGIN_DEFAULTS, defaults: {} },
    others: { backend: `'${backend}'`, options: '{}' }
  },
  { heading: '## Route options', at: [['response/options/route-options.ts', 'RouteCacheOptions']], constants: ROUTE_DEFAULTS },
  { heading: '### The key', at: [['response/options/route-options.ts', 'KeyOptions']], constants: KEY_DEFAULTS },
  { heading: '### While a handler runs', at: [['response/fill/reply-options.ts', 'ReplyCacheOptions']], constants: {} },
  { heading: '### memory', at: [['backends/memory.ts', 'MemoryOptions']], constants: { maxBytes: MEMORY_MAX_BYTES } },
  { heading: '### file', at: [['backends/file/options.ts', 'FileOptions']], constants: FILE_DEFAULTS },
  { heading: '### sqlite', at: [['backends/sqlite/options.ts', 'SqliteOptions']], constants: SQLITE_DEFAULTS },
  { heading: '### http', at: [['backends/http/options.ts', 'HttpOptions']], constants: HTTP_DEFAULTS },
  {
    heading: '### tiered',
    at: [['backends/tiered/options.ts', 'TieredOptions']],
    constants: { nearTtl: TIERED_NEAR_TTL_MS, deadline: TIERED_DEADLINE_MS }
  },
  {
    heading: '### keyv',
    at: [['backends/keyv/options.ts', 'KeyvOptions']],
    constants: { prefix: KEYV_PREFIX, timeout: KEYV_TIMEOUT_MS, cleanupInterval: KEYV_CLEANUP_INTERVAL_MS }
  },
  {
    heading: '### memcached',
    at: [['backends/memcached/options.ts', 'MemcachedOptions']],
    constants: { prefix: MEMCACHED_PREFIX, timeout: MEMCACHED_TIMEOUT_MS }
  },
  {
    heading: '### unstorage',
    at: [['backends/unstorage/options.ts', 'UnstorageOptions']],
    constants: { prefix: UNSTORAGE_PREFIX, timeout: UNSTORAGE_TIMEOUT_MS, cleanupInterval: UNSTORAGE_CLEANUP_INTERVAL_MS }
  },
  {
    heading: '### redis',
    at: [['backends/redis/options.ts', 'RedisOptions']],
    constants: { prefix: REDIS_PREFIX, maxValueBytes: REDIS_MAX_VALUE_BYTES }
  },
  {
    heading: '## `fastify.cache`',
    at: [['response/data/value-options.ts', 'GetOrSetOptions'], ['response/data/value-options.ts', 'SetOptions']],
    constants: VALUE_DEFAULTS
  }
]
