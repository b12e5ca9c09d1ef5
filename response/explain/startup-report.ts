// The report that is logged when the application is ready: every cached route with its policy, and likely mistakes.
import type { RouteOptions } from 'fastify'
import { duration, type Duration } from '../../registry/check.js'
import type { CacheLog } from '../../registry/registry.js'
import { listsTargets, namesUser, ROUTE_DEFAULTS, WRITTEN_DURATIONS, type RoutePolicy } from '../options/route-options.js'
import { isSafe } from '../http/methods.js'

/** Facts about the application that are known once all plugins are loaded. */
export interface Facts {
  readonly backendName: string
  /** The `nearTtl` of the backend `tiered`, if other processes may share its last tier; otherwise 0. */
  readonly nearTtlMs: number
  /** Whether the backend has `clear`. */
  readonly hasClear: boolean
  /** Whether other processes run the same application. */
  readonly isOneOfSeveral: boolean
  /** The names of registered plugins that identify users. */
  readonly authPlugins: readonly string[]
}

/** A likely mistake in how the application uses the cache. */
export interface Mistake {
  readonly routes: readonly string[]
  /** A line that says what is wrong and what to do. */
  readonly message: string
}

interface Seen {
  readonly name: string
  readonly url: string
  readonly methods: readonly string[]
  readonly policy: RoutePolicy | undefined
  /** Hooks of the route itself whose names suggest that they identify users. */
  readonly guards: readonly string[]
  /** Whether the route has the option `cache` beside `config`, and not in it. */
  readonly isBesideConfig: boolean
}

type Cached = Seen & { readonly policy: RoutePolicy }
/** Looks for one kind of mistake. Returns the routes that have it, if any, and a message that says what to do. */
type Rule = (cached: readonly Cached[], facts: Facts, seen: readonly Seen[]) => Mistake | Mistake[]

/** Plugins that identify the user who makes a request. */
export const AUTH_PLUGINS = [
  '@fastify/auth', '@fastify/jwt', '@fastify/basic-auth', '@fastify/bearer-auth', '@fastify/passport', '@fastify/session',
  '@fastify/secure-session', '@fastify/oauth2'
]
const AUTH_NAME = /auth|jwt|session|login|permission|guard|verifyuser/i
// The default `nearTtl` of the backend `tiered`. A longer one is reported.
const LONGEST_NEAR_TTL_MS = 1_000
const LONGEST_TTL_MS = 30 * 86_400_000
const HOOKS = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const

export class StartupReport {
  readonly #seen: Seen[] = []
  /** Routes that opt in, but belong to no registration. */
  readonly #outside: string[] = []

  /** Adds a route below the registration. `policy` is undefined if the route is not cached. */
  add (route: RouteOptions, policy: RoutePolicy | undefined): void {
    const methods = [route.method].flat()
    // Fastify adds a HEAD route for each GET route. The HEAD route needs no report of its own.
    if (methods.join() === 'HEAD') return
    const guards = HOOKS.flatMap((hook) => [route[hook] ?? []].flat())
      .map((hook) => (hook as { name: string }).name)
      .filter((name) => AUTH_NAME.test(name))
    const isBesideConfig = policy === undefined && 'cache' in route
    this.#seen.push({ name: nameOf(methods, route.url), url: route.url, methods, policy, guards, isBesideConfig })
  }

  /** Adds a route that opts in, but is declared outside of every registration. */
  addOutside ({ method, url }: RouteOptions): void {
    if (method !== 'HEAD') this.#outside.push(nameOf([method].flat(), url))
  }

  /** Logs a line for each cached route at debug level, and one for each kind of mistake at warn level. */
  say (log: CacheLog, facts: Facts): void {
    if (this.#outside.length === 0 && this.#seen.every(({ policy }) => policy === undefined)) log.warn({ routes: [] }, `cache: ${NO_ROUTE}`)
    for (const { name, policy } of this.#cached()) log.debug({ route: name }, `cache: ${name}: ${described(policy)}`)
    for (const { routes, message } of this.mistakes(facts)) log.warn({ routes }, `cache: ${message}`)
  }

  mistakes (facts: Facts): Mistake[] {
    const asked = this.#seen.filter((seen): seen is Cached => seen.policy !== undefined)
    const cached = this.#cached()
    return [
      {
        routes: this.#outside,
        message: 'these routes ask for the cache, but none is registered where they are declared, so nothing is cached; wrap the plugin that registers fastify-response-cache in fastify-plugin, or register the cache on the instance that has the routes'
      },
      {
        routes: namesOf(this.#seen.filter(({ isBesideConfig }) => isBesideConfig)),
        message: '`cache` stands beside `config`, where nothing reads it; write config: { cache: ... }'
      },
      ...RULES.flatMap((rule) => rule(cached, facts, this.#seen)), ...ASKING_RULES.flatMap((rule) => rule(asked, facts, this.#seen))
    ].filter(({ routes }) => routes.length > 0)
  }

  /** Returns the routes with at least one method that is cached. */
  #cached (): Cached[] {
    return this.#seen.filter((seen): seen is Cached =>
      seen.policy !== undefined && seen.methods.some((method) => seen.policy!.methods.has(method)))
  }
}

/** Returns the `nearTtl` in the options of a backend, in milliseconds, if other processes may share the last tier; otherwise 0. */
export function nearTtlOf (backend: string, options: unknown): number {
  const { nearTtl, tiers } = (options ?? {}) as { nearTtl?: Duration, tiers?: ReadonlyArray<{ backend: string }> }
  if (backend !== 'tiered' || nearTtl === undefined || tiers?.at(-1)?.backend === 'memory') return 0
  return duration()(nearTtl, 'tiered.nearTtl') as number
}

const NO_ROUTE = 'no route asks for the cache, so no response is cached; write config: { cache: { ttl: \'1m\' } } in a route\'s options'

const nameOf = (methods: readonly string[], url: string): string => `${methods.join(',')} ${url}`
const namesOf = (routes: readonly Seen[]): string[] => routes.map(({ name }) => name)

/** Returns whether the key tells users apart, so that users don't share responses. */
function isPersonal (policy: RoutePolicy): boolean {
  return typeof policy.key === 'function' || namesUser(policy)
}

/** Returns whether the key contains nothing but the URL, so that an unsafe request to the URL can invalidate the stored response. */
function isKeyedByUrl ({ key }: RoutePolicy): boolean {
  return typeof key !== 'function' && key.query === true && key.by === undefined && !key.body && key.headers.length === 0 &&
    key.cookies.length === 0
}

const isDefault = (statuses: ReadonlySet<number>): boolean => [...statuses].join() === ROUTE_DEFAULTS.statuses.join()

const invalidatesNothingElse = ({ policy }: Seen): boolean => policy === undefined || (!listsTargets(policy) && !policy.safe)

/** A duration in milliseconds, as a number, is a likely mistake: numbers are seconds. */
const looksLikeMs = (duration: unknown): boolean => typeof duration === 'number' && duration >= 10_000 && duration % 1_000 === 0

const RULES: readonly Rule[] = [
  (cached) => WRITTEN_DURATIONS.map((name) => ({
    routes: namesOf(cached.filter(({ policy }) => looksLikeMs(policy.written[name]))),
    message: `${name} is a number of seconds, and looks like milliseconds; divide it by 1000, or write it with its unit, '1h' for example`
  })),
  (cached) => ({
    routes: namesOf(cached.filter(({ policy }) => policy.ttlMs !== undefined && policy.ttlMs > LONGEST_TTL_MS)),
    message: 'ttl is longer than 30 days; numbers are seconds, not milliseconds'
  }),
  (cached) => ({
    routes: namesOf(cached.filter(({ methods, policy }) => methods.includes('POST') && policy.methods.has('POST') && !policy.safe)),
    message: 'POST is cached, so a repeated request is served without running the handler; if the route changes nothing, set safe: true, else leave POST out of methods'
  }),
  (cached) => ({
    routes: namesOf(cached.filter(({ policy }) => policy.ttlMs === undefined && !policy.heuristic && isDefault(policy.statuses))),
    message: 'no ttl: only responses that state their own freshness are stored; give the route a ttl, or heuristic: true'
  }),
  (cached) => ({
    routes: namesOf(cached.filter(({ policy }) => policy.ttlMs === undefined && !isDefault(policy.statuses))),
    message: 'statuses without ttl does nothing: it says to which statuses the ttl applies; give the route a ttl'
  }),
  (cached, { backendName, isOneOfSeveral }) => ({
    routes: isOneOfSeveral && backendName === 'memory'
      ? namesOf(cached.filter(({ policy }) => typeof policy.tags === 'function' || policy.tags.length > 0))
      : [],
    message: "tags on the backend 'memory' are each process's own: an invalidation is not seen by the others; use a backend that they share, sqlite on one machine or redis"
  }),
  (cached, { isOneOfSeveral, nearTtlMs }) => ({
    routes: isOneOfSeveral && nearTtlMs > LONGEST_NEAR_TTL_MS ? namesOf(cached) : [],
    message: `the backend 'tiered' has a nearTtl of ${seconds(nearTtlMs)}: for that long this process may serve what another process has invalidated by URL, route or key; set it to 1 s or less, or leave it out`
  }),
  (cached, { authPlugins }) => ({
    routes: namesOf(cached.filter(({ policy, guards }) =>
      policy.credentials === 'ignore' && !isPersonal(policy) && (guards.length > 0 || authPlugins.length > 0))),
    message: `credentials: 'ignore' in an application that tells users apart${authPlugins.length > 0 ? ` (${authPlugins.join(', ')})` : ''}: one user's response is served to others; leave it out, or name the user in the key, key: { by: (request) => ... }`
  }),
  (cached, _facts, seen) => ({
    routes: namesOf(cached.filter(({ url, policy }) =>
      !isKeyedByUrl(policy) && typeof policy.tags !== 'function' && policy.tags.length === 0 &&
      seen.some((other) => other.url === url && other.methods.some((method) => !isSafe(method)) && invalidatesNothingElse(other)))),
    message: 'writes to the same URL invalidate nothing, because the keys hold more than the URL; give this route tags, and the writing route invalidates: [...]'
  })
]

/** Rules for every route that opted in to caching, even if none of its responses can be stored. */
const ASKING_RULES: readonly Rule[] = [
  (asked) => ({
    routes: namesOf(asked.filter(({ methods, policy }) =>
      !listsTargets(policy) && policy.invalidates !== false && !methods.some((method) => policy.methods.has(method)))),
    message: "none of the route's methods is cached; if its responses may be stored, name the method, for example methods: ['POST']"
  }),
  (asked) => ({
    routes: namesOf(asked.filter(({ methods, policy }) => methods.every(isSafe) && listsTargets(policy))),
    message: 'invalidates does nothing on a route that has safe methods only; put it on the route that changes something'
  }),
  (asked, { hasClear, backendName }) => ({
    routes: hasClear
      ? []
      : namesOf(asked.filter(({ policy }) =>
        Array.isArray(policy.invalidates) && policy.invalidates.some((target) => typeof target === 'object' && 'route' in target))),
    message: `invalidates: { route } needs a backend that has clear, and '${backendName}' has none; give the routes a tag and list the tag`
  })
]

const seconds = (ms: number): string => `${ms / 1_000} s`

/** Describes the policy in words. */
export function described (policy: RoutePolicy): string {
  const { ttlMs, heuristic, staleWhileRevalidateMs, staleIfErrorMs, key, tags } = policy
  const own = 'as the response says'
  return [
    `fresh ${ttlMs !== undefined ? `${own}, else ${seconds(ttlMs)}` : heuristic ? `${own}, else a tenth of its age` : own}`,
    staleWhileRevalidateMs > 0 && `stale for ${seconds(staleWhileRevalidateMs)} while a refresh runs`,
    staleIfErrorMs > 0 && `stale for ${seconds(staleIfErrorMs)} if the handler fails`,
    typeof key === 'function' ? 'keyed by its function' : `keyed by ${keyedBy(key)}`,
    policy.credentials === 'ignore' && 'credentials ignored',
    policy.credentials === 'shared' && 'the same for all users',
    typeof tags === 'function' ? 'tags by its function' : tags.length > 0 && `tags ${tags.join(', ')}`
  ].filter((part) => part !== false).join('; ')
}

function keyedBy ({ query, headers, cookies, host, body, by }: Exclude<RoutePolicy['key'], (...given: never) => unknown>): string {
  const list = (what: string, names: readonly string[]): string | false => names.length > 0 && `${what} ${names.join(' ')}`
  return [
    'path', query === true ? 'query' : query !== false && list('parameters', query), host && 'host', list('fields', headers),
    list('cookies', cookies), body && 'body', by !== undefined && 'the user (by)'
  ].filter((part) => part !== false).join(', ')
}
