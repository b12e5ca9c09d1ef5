// Puts the cache in front of the handlers of routes that opt in: when they are declared, or at ready if they were declared before.
import type { FastifyInstance, RouteHandlerMethod, RouteOptions } from 'fastify'
import type { RouteLookup } from './explain/route-lookup.js'
import type { Facts, StartupReport } from './explain/startup-report.js'
import { compiledRoutes } from './fastify/compiled-routes.js'
import { invalidateAfter } from './invalidation/unsafe-methods.js'
import { routePolicy, type RouteCacheOptions, type RoutePolicy } from './options/route-options.js'
import { kAlsoNoted, kArrival, type ArrivedRequest } from './request/arrival.js'
import { isKeyedByBody, parametersOf } from './request/key.js'
import { CachedRoute } from './route.js'
import type { Services } from './services.js'

/** The property of an instance that holds the services of its registration. Only the nearest enclosing registration caches a route. */
export const kNearest = Symbol('fastify-response-cache.nearest')

/** The property of the `config` of routes that a registration has handled. */
const kAdded = Symbol('fastify-response-cache.added')

/** Receives the routes of one registration, besides the services. */
export interface RouteReceivers {
  readonly lookup: RouteLookup
  readonly report: StartupReport
  readonly defaults: Partial<RouteCacheOptions>
}

export class RouteRegistration {
  readonly #services: Services
  readonly #receivers: RouteReceivers

  constructor (services: Services, receivers: RouteReceivers) {
    this.#services = services
    this.#receivers = receivers
  }

  /** Handles a route that is being declared. `instance`: where it is declared. */
  add (instance: FastifyInstance, route: RouteOptions): void {
    if (nearest(instance) === this.#services) this.#add(route)
  }

  /** Called when all routes are declared. Handles those that were declared before the registration, then logs the report. */
  ready (application: FastifyInstance, facts: Facts): void {
    this.#addEarlier(application)
    this.#receivers.report.say(application.log, facts)
  }

  /**
   * Handles all routes that were declared before the registration. Their compiled handlers are replaced, so the routes' hooks still run
   * before the cache. Reports routes that opt in outside of every registration.
   */
  #addEarlier (application: FastifyInstance): void {
    for (const { server, options, replace } of compiledRoutes(application)) {
      const config = options.config as { readonly cache?: unknown, readonly [kAdded]?: boolean }
      if (config[kAdded] === true) continue
      const services = nearest(server)
      if (services === this.#services) {
        const { handler } = options
        this.#add(options)
        if (options.handler !== handler) replace(options)
      } else if (services === undefined && config.cache !== undefined && config.cache !== false) {
        this.#receivers.report.addOutside(options)
        // Other registrations don't report it again.
        Object.assign(config, { [kAdded]: true })
      }
    }
  }

  #add (route: RouteOptions): void {
    route.config = Object.assign({ ...route.config }, { [kAdded]: true })
    this.#receivers.report.add(route, this.#policyOf(route))
  }

  /**
   * Puts the cache in front of the route's handler if the route opted in. Unless the route opted out (`cache: false`), also ensures that
   * unsafe requests to it invalidate what they change. Returns the route's policy, or undefined if the route did not opt in.
   */
  #policyOf (route: RouteOptions): RoutePolicy | undefined {
    const services = this.#services
    const { defaults, lookup } = this.#receivers
    const chosen: unknown = (route.config as { cache?: unknown }).cache
    if (chosen === undefined || chosen === false) lookup.add(route, undefined)
    if (chosen === false) return undefined
    const { url, constraints } = route
    const methods = [route.method].flat()
    const policy = chosen === undefined ? undefined : routePolicy(`${methods.join(',')} ${url} config.cache`, chosen, defaults)
    if (policy?.safe !== true) invalidateAfter(services, route, policy?.invalidates ?? [])
    if (policy === undefined) return undefined
    const also = { body: isKeyedByBody(policy), query: services.routing.parsesQueries ? parametersOf(policy) : [] }
    // Fastify copies `config`, including its symbol properties, into the route's context.
    if (also.body || also.query.length > 0) Object.assign(route.config!, { [kAlsoNoted]: also })
    const { handler } = route
    const cached = new Map(methods.map((method) => [method, new CachedRoute(services, { method, url, constraints, policy, handler })]))
    services.routes.push(...cached.values())
    lookup.add(route, cached)
    route.handler = handlerOf(cached)
    return policy
  }
}

function nearest (fastify: FastifyInstance): Services | undefined {
  return (fastify as unknown as Record<symbol, Services | undefined>)[kNearest]
}

/** Returns the handler that replaces the route's own. `cached` has a cached route for each method. */
function handlerOf (cached: ReadonlyMap<string, CachedRoute>): RouteHandlerMethod {
  const [first] = cached.values() as Iterable<CachedRoute>
  return function (request, reply) {
    // The method with which the request arrived is used, because a hook may have changed the method after the router had matched the route.
    const { [kArrival]: arrival } = request as Partial<ArrivedRequest>
    const route = cached.get(arrival?.method ?? request.method) ?? first as CachedRoute
    return arrival === undefined ? route.handleUnnoted(this, request, reply) : route.handle(this, request as ArrivedRequest, reply)
  }
}
