// The door: options in, the route hook and one decorator out. No caching rule lives here.
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, RouteOptions } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { builtIns } from './backends/index.js'
import { Background } from './registry/background.js'
import { aDuration, checkOptions, duration, expects, text, type Check, type Duration } from './registry/check.js'
import * as errors from './registry/errors.js'
import { CACHE_ERR_OPTION } from './registry/errors.js'
import type { BackendChoice } from './registry/names.js'
import { defineBackend, Registry } from './registry/registry.js'
import { fromStringStore } from './registry/string-store.js'
import { ResponseCache } from './response/cache.js'
import { Engine, kFilling, type FillingReply } from './response/engine.js'
import type { ReplyCacheOptions } from './response/fill.js'
import { checkRouteOptions, routePolicy, type RouteCacheOptions } from './response/options.js'
import { CachedRoute } from './response/route.js'
import { CACHE_STATUS_NAME } from './response/status.js'

/** What every registration may say beside its backend. */
export interface CommonOptions {
  /** Where backends are found by name. @default builtIns() */
  registry?: Registry
  /** The decorator's name. @default 'cache' */
  decorateAs?: string
  /** Route options for every route that says `cache: true` or `cache: {...}`. @default {} */
  defaults?: RouteCacheOptions
  /** Keeps two applications apart on one store. @default '' */
  namespace?: string
  /** For each call of the backend that a request waits for. @default '100ms' */
  deadline?: Duration
  /** How long a request waits for another one that fills the same entry before it asks the handler itself. @default '5s' */
  lockTimeout?: Duration
  /** Whether Cache-Status is sent, and under which name. @default true */
  cacheStatus?: boolean | string
  /** The clock: epoch milliseconds. The default starts with the system's and only goes forward, whatever is done to that. @default a steady clock */
  now?: () => number
}

/** Options of the plugin: a backend by name with that backend's options (`memory` where none is named), and the common ones. */
export type ResponseCacheOptions = CommonOptions & (BackendChoice | { backend?: undefined, options?: undefined })

export const PLUGIN_DEFAULTS = { backend: 'memory', decorateAs: 'cache', namespace: '', deadline: '100ms', lockTimeout: '5s', cacheStatus: true } as const

type Given = CommonOptions & { backend?: string, options?: unknown }

const PLUGIN_CHECKS: { [K in keyof Given]-?: Check<Given[K]> } = {
  backend: text,
  options: (value) => value,
  registry: expects('a Registry, made with builtIns()', (value) => value instanceof Registry),
  decorateAs: text,
  defaults: (value, who) => checkRouteOptions(who, value),
  namespace: expects('a string', (value) => typeof value === 'string'),
  deadline: aDuration,
  lockTimeout: aDuration,
  cacheStatus: expects('true, false, or the name to sign Cache-Status with, a token', (value) => typeof value === 'boolean' || (typeof value === 'string' && /^[A-Za-z*][\w!#$%&'*+.^`|~:/-]*$/.test(value))),
  now: expects('a function that answers epoch milliseconds', (value) => typeof value === 'function')
}

const NAME = 'fastify-response-cache'

/** Marks the scope's own cache: a route is cached by the nearest registration above it, and by that alone. */
const kNearest = Symbol('fastify-response-cache.nearest')

const plugin: FastifyPluginAsync<ResponseCacheOptions> = async (fastify, given) => {
  const settings = checkSettings(given)
  checkScope(fastify, settings.decorateAs)
  const closing = new AbortController()
  const background = new Background(fastify.log)
  const { backend, options, now, registry = builtIns(), cacheStatus } = settings
  const opened = await registry.open({ backend, options } as BackendChoice, { now, log: fastify.log, signal: closing.signal, background })
  const engine = new Engine({
    ...settings,
    backend: opened,
    backendName: backend,
    cacheStatus: cacheStatus === false ? undefined : { field: 'cache-status', signature: cacheStatus === true ? CACHE_STATUS_NAME : cacheStatus },
    log: fastify.log
  })
  fastify.addHook('onClose', async () => {
    closing.abort()
    await Promise.all([engine.close(), background.close()])
  })
  decorate(fastify, settings.decorateAs, engine, new ResponseCache(engine, closing.signal))
  fastify.addHook('onRoute', function (route) {
    if (nearest(this) === engine) cacheRoute(engine, route, settings.defaults)
  })
}

function checkSettings (given: unknown) {
  const settings = { ...PLUGIN_DEFAULTS, ...checkOptions(NAME, given, PLUGIN_CHECKS) }
  return {
    ...settings,
    options: settings.options === undefined ? {} : settings.options,
    defaults: settings.defaults ?? {},
    deadlineMs: duration()(settings.deadline, `${NAME}.deadline`),
    lockTimeoutMs: duration()(settings.lockTimeout, `${NAME}.lockTimeout`),
    now: settings.now ?? steadyClock
  }
}

/** Epoch milliseconds that only go forward: a step of the system's clock neither ends entries nor makes them immortal. */
function steadyClock (): number {
  return Math.floor(performance.timeOrigin + performance.now())
}

/** Fails before anything is opened when the names that this registration needs are taken. */
function checkScope (fastify: FastifyInstance, decorateAs: string): void {
  if (Object.hasOwn(fastify, kNearest)) throw new CACHE_ERR_OPTION(NAME, 'registered once in a scope', 'a second registration; put it into a scope of its own with fastify.register()')
  // The cache of a scope around this one may be hidden behind it, nothing else may.
  const there = (fastify as unknown as Record<string, unknown>)[decorateAs]
  if (Object.hasOwn(fastify, decorateAs) || (there !== undefined && !(there instanceof ResponseCache))) {
    const taker = fastify.hasPlugin('@fastify/caching') ? '@fastify/caching took it' : 'another plugin took it, @fastify/caching for one does'
    throw new CACHE_ERR_OPTION(`${NAME}.decorateAs`, 'a name that is free', `'${decorateAs}': ${taker}. Choose another, { decorateAs: 'responseCache' } say`)
  }
  if (fastify.hasReplyDecorator('cache') && !fastify.hasReplyDecorator(kFilling)) {
    throw new CACHE_ERR_OPTION(NAME, 'the only plugin that decorates the reply with \'cache\'', 'an application in which another plugin did')
  }
}

function decorate (fastify: FastifyInstance, decorateAs: string, engine: Engine, cache: ResponseCache): void {
  fastify.decorate(decorateAs, cache)
  fastify.decorate(kNearest, engine)
  if (fastify.hasReplyDecorator(kFilling)) return
  fastify.decorateReply(kFilling, null)
  fastify.decorateReply('cache', function (this: FastifyReply, options: ReplyCacheOptions) {
    (this as FillingReply)[kFilling]?.fill.tell(options)
    return this
  })
}

function nearest (fastify: FastifyInstance): Engine | undefined {
  return (fastify as unknown as Record<symbol, Engine | undefined>)[kNearest]
}

/** Puts the cache in front of the route's handler, if the route opted in. */
function cacheRoute (engine: Engine, route: RouteOptions, defaults: Partial<RouteCacheOptions>): void {
  const chosen: unknown = (route.config as { cache?: unknown } | undefined)?.cache
  if (chosen === undefined || chosen === false) return
  const { url, handler, constraints } = route
  const methods = [route.method].flat()
  const policy = routePolicy(`${methods.join(',')} ${url} config.cache`, chosen, defaults)
  const cached = new Map(methods.map((method) => [method, new CachedRoute(engine, { method, url, constraints, policy, handler })]))
  engine.routes.push(...cached.values())
  route.handler = function (request, reply) {
    return cached.get(request.method)!.handle(this, request, reply)
  }
}

const responseCache = fastifyPlugin(plugin, { fastify: '5.x', name: NAME })

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether and how the route's answers are cached. */
    cache?: boolean | RouteCacheOptions
  }
  interface FastifyInstance {
    /** The nearest cache above, unless it was registered under another name (`decorateAs`). */
    cache: ResponseCache
  }
  interface FastifyReply {
    /** Decides for this one answer while the handler runs; of no effect where it is not going to be stored anyway. */
    cache (options: ReplyCacheOptions): this
  }
}

export default responseCache
export * from './registry/names.js'
export * from './registry/errors.js'
export type * from './registry/backend.js'
export type { BackgroundTask, BackgroundTasks } from './registry/background.js'
export type { BackendContext, BackendDefinition, BackendLoader, CacheLog } from './registry/registry.js'
export type { StringStore } from './registry/string-store.js'
export type { MemoryOptions, SqliteOptions } from './backends/index.js'
export type { Duration } from './registry/check.js'
export type { KeyFunction, KeyOptions, RouteCacheOptions } from './response/options.js'
export type { ReplyCacheOptions } from './response/fill.js'
export type { ResponseCache } from './response/cache.js'
export type { ProduceContext, SetOptions } from './response/data-cache.js'
export type { InvalidationTarget } from './response/invalidation.js'
export type { BypassReason, RefusalReason } from './response/status.js'
export type { CacheStats, RouteStats } from './response/stats.js'
export { builtIns, defineBackend, fromStringStore, Registry, responseCache }

// What require() answers: the plugin function, with what else can be imported as its properties.
const required = Object.assign(responseCache, { default: responseCache, responseCache, builtIns, defineBackend, fromStringStore, Registry, ...errors })
export { required as 'module.exports' }
