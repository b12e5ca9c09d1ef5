// What is read of Fastify that it doesn't publish, in one place. Where it is missing, nothing is cached, and that is said.
import type { FastifyInstance, FastifyReply, FastifyRequest, onErrorHookHandler, onSendHookHandler } from 'fastify'

/** The compiled hooks of a route: functions, or null where there are none. */
export interface RouteContext {
  readonly onSend: readonly onSendHookHandler[] | null
  readonly onError: readonly onErrorHookHandler[] | null
}

const CONTEXT = 'Symbol(fastify.context)'
const OPTIONS = 'Symbol(fastify.options)'
const FIELDS = 'Symbol(fastify.reply.headers)'
const TRAILERS = 'Symbol(fastify.reply.trailers)'

/** The name of that hook, which is bound to its instance. */
const HEAD_HOOK = 'bound headRouteOnSendHandler'

/** Finds symbols once, by their description. */
export class FastifyInternals {
  #context: symbol | undefined
  #fields: symbol | undefined
  #trailers: symbol | undefined

  /** The hooks of the route that this request is for; undefined where this Fastify keeps them elsewhere. */
  contextOf (request: FastifyRequest): RouteContext | undefined {
    this.#context ??= symbolOf(request, CONTEXT)
    const context = this.#context === undefined ? undefined : (request as unknown as Record<symbol, RouteContext>)[this.#context]
    return context !== undefined && isHooks(context.onSend) && isHooks(context.onError) ? context : undefined
  }

  /** Whether nobody may change the body, so that ranges of it are served. All that Fastify's own hook of a HEAD route does is take it away. */
  servesRanges (request: FastifyRequest): boolean {
    const hooks = this.contextOf(request)?.onSend
    return hooks === null || (request.method === 'HEAD' && hooks?.length === 1 && hooks[0]?.name === HEAD_HOOK)
  }

  /** Lets this one request's answer run through other hooks. */
  useContext (request: FastifyRequest, context: RouteContext): void {
    (request as unknown as Record<symbol, RouteContext>)[this.#context as symbol] = context
  }

  /** Whether this request came by `inject()` and not by a connection. */
  isInjected (reply: FastifyReply): boolean {
    return (reply.raw as { isLightMyRequest?: boolean }).isLightMyRequest === true
  }

  /** Whether a header field was set on this answer, or whether that can't be known. `getHeaders()` copies them all to say so. */
  mayHaveFields (reply: FastifyReply): boolean {
    this.#fields ??= symbolOf(reply, FIELDS)
    return this.#fields === undefined || reply.raw.getHeaderNames().length > 0 || Object.keys((reply as unknown as Record<symbol, object>)[this.#fields]!).length > 0
  }

  /** Whether somebody has announced trailers, or whether that can't be known. */
  mayHaveTrailers (reply: FastifyReply): boolean {
    this.#trailers ??= symbolOf(reply, TRAILERS)
    return this.#trailers === undefined || (reply as unknown as Record<symbol, unknown>)[this.#trailers] !== null
  }
}

/** Whether the application rewrites URLs (`rewriteUrl`), or whether that can't be known. */
export function rewritesUrls (fastify: FastifyInstance): boolean {
  for (let scope: object | null = fastify; scope !== null; scope = Object.getPrototypeOf(scope)) {
    const symbol = symbolOf(scope, OPTIONS)
    if (symbol !== undefined) return (scope as Record<symbol, { rewriteUrl?: unknown }>)[symbol]?.rewriteUrl !== undefined
  }
  return true
}

/** `context` with other hooks for onSend, and maybe one before those of onError. */
export function around (context: RouteContext, onSend: readonly onSendHookHandler[], onError?: onErrorHookHandler): RouteContext {
  const copy = Object.assign(Object.create(Object.getPrototypeOf(context)), context)
  copy.onSend = onSend
  if (onError !== undefined) copy.onError = [onError, ...(context.onError ?? [])]
  return copy
}

function isHooks (value: unknown): boolean {
  return value === null || Array.isArray(value)
}

function symbolOf (object: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(object).find((symbol) => String(symbol) === description)
}
