// The entry point: checks the options, adds the route hook, and decorates the instance. It contains no caching rule.
import type { FastifyInstance, FastifyPluginAsync, FastifyReply } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import cluster from 'node:cluster'
import { builtIns } from './backends/index.js'
import type { CacheBackend } from './registry/backend.js'
import { Background } from './registry/background.js'
import { CACHE_ERR_OPTION } from './registry/errors.js'
import type { BackendChoice } from './registry/names.js'
import { defineBackend, Registry } from './registry/registry.js'
import { fromStringStore } from './registry/string-store.js'
import { noteArrivals } from './response/request/arrival.js'
import { ResponseCache } from './response/cache.js'
import { clockOf } from './response/clock.js'
import './response/fastify/typed-routes.js'
import type { CacheName } from './response/fastify/cache-names.js'
import { choose, kFill, kEarlyOptions } from './response/fill/recording-hooks.js'
import { kHit } from './response/serve/hooked-hit.js'
import { rewritesUrls, routingOf } from './response/fastify/fastify-internals.js'
import { fromEnvironment } from './response/options/environment.js'
import { RouteLookup } from './response/explain/route-lookup.js'
import type { RouteCacheOptions } from './response/options/route-options.js'
import { AUTH_PLUGINS, nearTtlOf, StartupReport, type Facts } from './response/explain/startup-report.js'
import type { ReplyCacheOptions } from './response/fill/reply-options.js'
import { rfc9111 } from './response/options/presets.js'
import { kRefresh, type PossibleRefresh } from './response/fill/refresh.js'
import { kNearest, RouteRegistration } from './response/route-registration.js'
import { checkSettings, NAME, type ResponseCacheOptions } from './response/options/plugin-options.js'
import { close, servicesOf, type Services } from './response/services.js'
import { dropEverything } from './response/invalidation/invalidate.js'
import { isStampIn } from './response/store/tags.js'

const plugin: FastifyPluginAsync<ResponseCacheOptions> = async (fastify, given) => {
  const settings = checkSettings(given)
  checkScope(fastify, settings.decorateAs)
  const closing = new AbortController()
  const background = new Background(fastify.log)
  const { backend, options, registry = builtIns() } = settings
  const clock = clockOf(settings.now)
  const opened = await registry.open({ backend, options } as BackendChoice, {
    now: clock.now,
    log: fastify.log,
    signal: closing.signal,
    background,
    deadlineMs: settings.deadlineMs,
    isStamp: isStampIn(settings.namespace),
    decoration: (name) => (fastify as unknown as Record<string, unknown>)[name]
  })
  const services = servicesOf({
    ...settings,
    clock,
    backend: opened,
    backendName: backend,
    rewritesUrls: rewritesUrls(fastify),
    routing: routingOf(fastify),
    log: fastify.log
  })
  clock.onSetBack = (byMs) => dropEverything(services, byMs)
  fastify.addHook('onClose', async () => {
    closing.abort()
    await Promise.all([close(services), background.close()])
  })
  noteArrivals(fastify, services.internals)
  const lookup = new RouteLookup(fastify)
  decorate(fastify, settings.decorateAs, services, new ResponseCache(services, lookup, closing.signal))
  const routes = new RouteRegistration(services, { lookup, report: new StartupReport(), defaults: settings.defaults })
  fastify.addHook('onRoute', function (route) { routes.add(this, route) })
  fastify.addHook('onReady', async () => { routes.ready(fastify, factsOf(fastify, settings, opened)) })
}

/** Returns the facts about the application that the startup report needs in addition to the routes. */
function factsOf (fastify: FastifyInstance, { backend, options }: { backend: string, options: unknown }, { clear }: CacheBackend): Facts {
  return {
    backendName: backend,
    nearTtlMs: nearTtlOf(backend, options),
    hasClear: clear !== undefined,
    // PM2 sets NODE_APP_INSTANCE in each process of a cluster.
    isOneOfSeveral: cluster.isWorker || process.env.NODE_APP_INSTANCE !== undefined,
    authPlugins: AUTH_PLUGINS.filter((name) => fastify.hasPlugin(name))
  }
}

/** Throws CACHE_ERR_OPTION if the scope already has a registration, or if a decorator's name is taken. Called before the backend opens. */
function checkScope (fastify: FastifyInstance, decorateAs: string): void {
  if (Object.hasOwn(fastify, kNearest)) {
    throw new CACHE_ERR_OPTION(NAME, 'registered once in a scope',
      'a second registration; put it into a scope of its own with fastify.register()')
  }
  // If an outer scope's cache has this name, the new decorator hides it. Anything else with this name is an error.
  const there = (fastify as unknown as Record<string, unknown>)[decorateAs]
  if (Object.hasOwn(fastify, decorateAs) || (there !== undefined && !(there instanceof ResponseCache))) {
    const taker = fastify.hasPlugin('@fastify/caching')
      ? '@fastify/caching took it'
      : 'another plugin took it, as @fastify/caching does for example'
    throw new CACHE_ERR_OPTION(`${NAME}.decorateAs`, 'an unused name',
      `'${decorateAs}': ${taker}. Choose another, for example { decorateAs: 'responseCache' }`)
  }
  if (fastify.hasReplyDecorator('cache') && !fastify.hasReplyDecorator(kFill)) {
    throw new CACHE_ERR_OPTION(NAME, 'the only plugin that decorates the reply with \'cache\'',
      'an application in which another plugin has done that')
  }
}

function decorate (fastify: FastifyInstance, decorateAs: string, services: Services, cache: ResponseCache): void {
  fastify.decorate(decorateAs, cache)
  fastify.decorate(kNearest, services)
  if (fastify.hasReplyDecorator(kFill)) return
  fastify.decorateRequest('isCacheRefresh', { getter () { return (this.raw as PossibleRefresh)[kRefresh] !== undefined } })
  fastify.decorateReply(kFill, null)
  fastify.decorateReply(kHit, null)
  fastify.decorateReply(kEarlyOptions, null)
  fastify.decorateReply('cache', function (this: FastifyReply, options: ReplyCacheOptions) {
    choose(this, options)
    return this
  })
}

/** The plugin: `await app.register(responseCache, { backend: 'sqlite' })`. */
const responseCache = fastifyPlugin(plugin, { fastify: '5.x', name: NAME })

/** The cache of the nearest registration. The option `decorateAs` gives this property another name. */
type Decorated = { [Name in CacheName]: ResponseCache }

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether and how the route's responses are cached. */
    cache?: boolean | RouteCacheOptions
  }
  interface FastifyInstance extends Decorated {}
  interface FastifyRequest {
    /** Whether the cache itself made this request in the background, to refresh a stale response that it still serves meanwhile. */
    readonly isCacheRefresh: boolean
  }
  interface FastifyReply {
    /** Sets options for this response only. Call it while the handler runs. It has no effect on a response that can't be stored. */
    cache (options: ReplyCacheOptions): this
  }
}

export default responseCache
export * from './registry/names.js'
export * from './response/fastify/cache-names.js'
export * from './registry/errors.js'
export type * from './registry/backend.js'
export type { BackgroundTask, BackgroundTasks } from './registry/background.js'
export type { BackendContext, BackendDefinition, BackendLoader, CacheLog } from './registry/registry.js'
export type { StringStore } from './registry/string-store.js'
export type {
  FileOptions, HttpOptions, KeyvAdapter, KeyvOptions, LentDatabase, LentKeyv, LentMemcached, LentRedis, LentStorage, MemcachedOptions,
  MemoryOptions, RedisConnection, RedisOptions, SqliteOptions, TieredOptions, UnstorageDriver, UnstorageOptions
} from './backends/index.js'
export type { Duration } from './registry/check.js'
export type { Spelling } from './response/http/selecting-fields.js'
export type { Environment } from './response/options/environment.js'
export type { InvalidatesFunction, KeyFunction, KeyOptions, RouteCacheOptions, WhenFunction } from './response/options/route-options.js'
export type { ReplyCacheOptions } from './response/fill/reply-options.js'
export type { CommonOptions, ResponseCacheOptions } from './response/options/plugin-options.js'
export type { ResponseCache } from './response/cache.js'
export type { ProduceContext } from './response/data/producers.js'
export type { GetOrSetOptions, SetOptions } from './response/data/value-options.js'
export type { ExplainOptions } from './response/explain/explain.js'
export type { Concurrency } from './response/fill/single-flight.js'
export type { Explained, ExplainedEntry, ExplainedKey, ExplainedVariants, Explanation, Instant } from './response/explain/explanation.js'
export type { InvalidationTarget } from './response/options/invalidation-target.js'
export type { BypassReason, MissReason, RefusalReason } from './response/observe/reasons.js'
export type { CacheStats, ClaimStats, RouteStats } from './response/observe/observer.js'
export { builtIns, defineBackend, fromEnvironment, fromStringStore, Registry, responseCache, rfc9111 }
