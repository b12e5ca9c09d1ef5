// The Memcached backend: it stores each entry under a single key on one server, using memcache-client.
import { ByteBackend } from '../registry/byte-store/backend.js'
import { defineBackend } from '../registry/registry.js'
import { openClient } from './memcached/driver.js'
import { readOptions, type MemcachedOptions } from './memcached/options.js'
import { MemcachedStore } from './memcached/byte-store.js'

export { MEMCACHED_PREFIX, MEMCACHED_TIMEOUT_MS, type LentMemcached, type MemcachedOptions } from './memcached/options.js'

export default defineBackend<MemcachedOptions>({
  name: 'memcached',
  async create (options, context) {
    const settings = readOptions(options)
    const store = new MemcachedStore(await openClient(settings), { prefix: settings.prefix, now: context.now })
    return new ByteBackend(store, { name: 'memcached', timeoutMs: settings.timeoutMs }, context)
  }
})
