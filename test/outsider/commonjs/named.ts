// An application in CommonJS whose cache has another name.
import caching from '@fastify/caching'
import Fastify from 'fastify'
import responseCache from 'fastify-response-cache'

declare module 'fastify-response-cache' {
  interface CacheNames { responseCache: true }
}

const app = Fastify()
void app.register(caching)
void app.register(responseCache, { decorateAs: 'responseCache' })
void app.responseCache.invalidate('a')
app.cache.set('key', 'value', 1_000, () => {})
// @ts-expect-error the cache of @fastify/caching
void app.cache.invalidate('a')
