// Lists every compiled route of the application, and replaces the handlers of routes that were declared before the cache was registered.
import type { FastifyInstance, RouteHandlerMethod, RouteOptions } from 'fastify'
import { classesOf, type Classes, type Decorated } from './fastify-internals.js'

/** The members of Fastify's compiled route that are used here. */
interface Context extends Classes {
  handler: RouteHandlerMethod
  config: { readonly url: string, readonly method: string | string[] }
  readonly server: FastifyInstance
}

/** A route, and the instance on which it was declared. */
export interface CompiledRoute {
  readonly server: FastifyInstance
  /** The options as an `onRoute` hook would receive them, except for the schema. The hooks include those of the instance. */
  readonly options: RouteOptions
  /** Replaces the compiled handler and `config`. */
  readonly replace: (by: Pick<RouteOptions, 'handler' | 'config'>) => void
}

/** Returns all routes of the application. Empty if this version of Fastify can't list them. */
export function compiledRoutes (fastify: FastifyInstance): CompiledRoute[] {
  // A route `/` below a prefix is compiled twice, with the trailing slash and without.
  const declared = new Map<string, { readonly contexts: Context[], readonly constraints: object }>()
  for (const [context, constraints] of contextsOf(fastify)) {
    const { method, url } = context.config
    const name = JSON.stringify([method, url, constraints], (_name, value) => value instanceof RegExp ? String(value) : value)
    const { contexts } = declared.get(name) ?? declared.set(name, { contexts: [], constraints }).get(name)!
    contexts.push(context)
  }
  const classes = classesOf(fastify)
  return [...declared.values()].map(({ contexts, constraints }) => {
    const [first] = contexts as [Context]
    const { handler, config, server } = first
    const options = {
      ...first,
      method: config.method,
      url: config.url,
      handler,
      config,
      constraints: Object.keys(constraints).length === 0 ? undefined : constraints,
      routePath: contexts.length > 1 ? '' : undefined
    }
    return {
      server,
      options: options as unknown as RouteOptions,
      replace (by) { for (const context of contexts) replace(context, by, classes) }
    }
  })
}

function replace (context: Context, { handler, config }: Pick<RouteOptions, 'handler' | 'config'>, classes: Classes | undefined): void {
  context.handler = handler.bind(context.server)
  context.config = config as Context['config']
  if (classes === undefined) return
  adopt(context.Request, classes.Request)
  adopt(context.Reply, classes.Reply)
}

/** Adds the cache's own properties to the class of a scope that was created before the cache declared them. */
function adopt (own: Decorated, declared: Decorated): void {
  for (const prop of declared.props) {
    const isOurs = typeof prop.key === 'symbol' && prop.key.description?.startsWith('fastify-response-cache.') === true
    if (isOurs && !own.props.some(({ key }) => key === prop.key)) own.props.push(prop)
  }
}

/**
 * Returns each compiled route with its constraints. Only `printRoutes` goes through all of them. It calls the function
 * `buildPrettyMeta` with each route, and the router assigns that function to the options, so the options ignore the assignment.
 */
function contextsOf (fastify: FastifyInstance): Map<Context, object> {
  const found = new Map<Context, object>()
  const options = {
    includeMeta: true,
    get buildPrettyMeta () {
      return ({ store, opts }: { store: Context, opts: { constraints: object } }) => {
        found.set(store, opts.constraints)
        return {}
      }
    },
    set buildPrettyMeta (_own) {}
  }
  try {
    fastify.printRoutes(options)
  } catch {
    found.clear()
  }
  return found
}
