// Finds the route of a request. Has its own router with all routes below the registration, because Fastify's router can't be queried.
import type { FastifyInstance, RouteOptions } from 'fastify'
import findMyWay, { type HTTPMethod } from 'find-my-way'
import { routingOf } from '../fastify/fastify-internals.js'
import type { CachedRoute } from '../route.js'

/** A route that was found, cached or not, with the parameters of the path. */
export interface Located {
  readonly name: string
  readonly cached: CachedRoute | undefined
  /** Whether unsafe requests to the route invalidate anything. */
  readonly invalidates: boolean
  readonly params: Readonly<Record<string, string | undefined>>
}

interface Registered {
  readonly options: RouteOptions & { readonly routePath?: string }
  readonly cached: ReadonlyMap<string, CachedRoute> | undefined
}

export class RouteLookup {
  readonly #routes: Registered[] = []
  readonly #application: FastifyInstance
  #router: ReturnType<typeof findMyWay> | undefined

  constructor (application: FastifyInstance) {
    this.#application = application
  }

  add (options: RouteOptions, cached: ReadonlyMap<string, CachedRoute> | undefined): void {
    this.#routes.push({ options: { ...options }, cached })
    this.#router = undefined
  }

  /** Returns the route for this method and path, or undefined if no route below the registration matches. */
  find (method: string, path: string, { host, version }: { host: string, version: string | undefined }): Located | undefined {
    this.#router ??= this.#made()
    const found = this.#router.find(method as HTTPMethod, path, { host, version } as never)
    return found === null ? undefined : { ...(found.store as Omit<Located, 'params'>), params: found.params }
  }

  #made (): ReturnType<typeof findMyWay> {
    const router = findMyWay({ ...routingOf(this.#application) })
    for (const route of this.#routes) this.#addTo(router, route, false)
    // Registered routes take precedence over twins (paths with a slash added), so the twins are added last.
    for (const route of this.#routes) this.#addTo(router, route, true)
    return router
  }

  /**
   * Adds a route to the router. If `isTwin` is true, adds its twin instead: the same route with a trailing slash. A route `/` below a
   * prefix serves the prefix both with and without the slash (`prefixTrailingSlash`), but Fastify announces only one of the two.
   */
  #addTo (router: ReturnType<typeof findMyWay>, { options, cached }: Registered, isTwin: boolean): void {
    const { method, url, constraints, routePath } = options
    const path = isTwin ? `${url}/` : url
    for (const one of [method].flat()) {
      if (isTwin && !(routePath === '' && this.#application.hasRoute({ method: one, url: path, constraints: constraints ?? {} }))) continue
      try {
        router.on(one as HTTPMethod, path, constraints === undefined ? {} : { constraints: constraints as never }, () => {}, {
          name: `${one} ${url}`, cached: cached?.get(one), invalidates: (options.config as { cache?: unknown } | undefined)?.cache !== false
        })
      } catch {
        // The route is left out: only the application's router knows its custom constraint, or another route has the path of this twin.
      }
    }
  }
}
