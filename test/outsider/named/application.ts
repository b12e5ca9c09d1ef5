// An application with @fastify/caching, which takes the name `cache`.
import caching from '@fastify/caching'
import Fastify from 'fastify'
import responseCache from 'fastify-response-cache'

declare module 'fastify-response-cache' {
  interface CacheNames { responseCache: true }
}

const app = Fastify()
await app.register(caching)
await app.register(responseCache, { decorateAs: 'responseCache' })
await app.responseCache.invalidate('a')
app.cache.set('key', 'value', 1_000, () => {})
// @ts-expect-error the cache of @fastify/caching
await app.cache.invalidate('a')
