// The options of a registration. They are checked once, and each default is defined in one place only.
import { aDuration, checkOptions, duration, expects, text, type Check, type Duration } from '../../registry/check.js'
import type { BackendChoice } from '../../registry/names.js'
import { Registry } from '../../registry/registry.js'
import { pluginAdvice } from './advice.js'
import { checkRouteOptions, ROUTE_OPTION_NAMES, type RouteCacheOptions } from './route-options.js'

/** The package's name, which errors about a registration show. */
export const NAME = 'fastify-response-cache'

/** The options of a registration, apart from its backend. */
export interface CommonOptions {
  /** The registry in which backends are looked up by name. @default builtIns() */
  registry?: Registry
  /** The name of the decorator on the Fastify instance. @default 'cache' */
  decorateAs?: string
  /** Default route options, for every route with `cache: true` or `cache: {...}`. @default {} */
  defaults?: RouteCacheOptions
  /** Keeps apart the entries of applications that share a store. @default '' */
  namespace?: string
  /** How long a request waits for the backend, counting all its calls together. @default '100ms' */
  deadline?: Duration
  /** How long a request waits for a concurrent request that fills the same entry, before it runs the handler itself. @default '5s' */
  lockTimeout?: Duration
  /**
   * How long other processes wait for one that fills an entry and has died. A process that lives renews its lease, so that a handler may
   * take longer. With `false`, processes that share a store don't wait for each other, and don't notice each other's invalidations while
   * their handlers run. Needs a backend with the methods `claim` and `settle`; others work as with `false`. @default '1s'
   */
  lease?: Duration | false
  /** Whether Cache-Status is sent. A string becomes this cache's name in that field; `true` uses the package's name. @default true */
  cacheStatus?: boolean | string
  /**
   * Returns the current time in epoch milliseconds. The default follows the system's clock, but ignores a step back that is corrected
   * within ten seconds.
   * @default the system's clock
   */
  now?: () => number
}

/** The options of the plugin: a backend's name (`memory` by default), the options of that backend, and the common options. */
export type ResponseCacheOptions = CommonOptions & (BackendChoice | {
  /** The backend's name. @default 'memory' */
  backend?: undefined
  /** The options of that backend. @default {} */
  options?: undefined
})

export const PLUGIN_DEFAULTS = {
  backend: 'memory', decorateAs: 'cache', namespace: '', deadline: '100ms', lockTimeout: '5s', lease: '1s', cacheStatus: true
} as const

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
  lease: (value, who) => value === false ? value : aDuration(value, who),
  cacheStatus: expects('true, false, or the name to sign Cache-Status with, a token', (value) =>
    typeof value === 'boolean' || (typeof value === 'string' && /^[A-Za-z*][\w!#$%&'*+.^`|~:/-]*$/.test(value))),
  now: expects('a function that returns epoch milliseconds', (value) => typeof value === 'function')
}

const PLUGIN_ADVICE = pluginAdvice(ROUTE_OPTION_NAMES)

/** Checks the options of a registration, and fills in all defaults except that of `registry`. Throws CACHE_ERR_OPTION if one is invalid. */
export function checkSettings (given: unknown) {
  const settings = { ...PLUGIN_DEFAULTS, ...checkOptions(NAME, given, PLUGIN_CHECKS, PLUGIN_ADVICE) }
  return {
    ...settings,
    options: settings.options === undefined ? {} : settings.options,
    defaults: settings.defaults ?? {},
    deadlineMs: duration()(settings.deadline, `${NAME}.deadline`),
    lockTimeoutMs: duration()(settings.lockTimeout, `${NAME}.lockTimeout`),
    leaseMs: settings.lease === false ? 0 : duration()(settings.lease, `${NAME}.lease`)
  }
}
