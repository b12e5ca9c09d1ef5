// The names under which instances have a cache, for applications that choose another with `decorateAs`.

/**
 * The names that `decorateAs` gives to caches, for TypeScript. Without a declaration, the name is `cache`. Declare yours with
 * `declare module 'fastify-response-cache' { interface CacheNames { responseCache: true } }`; `fastify.responseCache` is then a cache, and
 * `fastify.cache` isn't, unless it is declared too.
 */
export interface CacheNames {}

/** The declared names, or `cache` if there are none. */
export type CacheName = keyof CacheNames extends never ? 'cache' : keyof CacheNames
