// What is read of Fastify that it doesn't publish, in one place. Where it is missing, nothing is cached, and that is said.
import type { FastifyInstance, FastifyReply, FastifyRequest, onErrorHookHandler, onSendHookHandler, preHandlerHookHandler } from 'fastify'
import type { Fields } from '../http/field-values.js'
import { hasNoContent } from '../http/status-codes.js'

/** What Fastify has compiled of a route: its hooks, functions or null where there are none, and its `config`. */
export interface RouteContext {
  readonly config?: { readonly cache?: unknown }
  readonly onSend: readonly onSendHookHandler[] | null
  readonly onError: readonly onErrorHookHandler[] | null
  readonly preHandler: readonly preHandlerHookHandler[] | null
}

const CONTEXT = 'Symbol(fastify.context)'
const OPTIONS = 'Symbol(fastify.options)'
const FIELDS = 'Symbol(fastify.reply.headers)'
const REQUEST = 'Symbol(fastify.Request)'
const PAYLOAD = 'Symbol(fastify.RequestPayloadStream)'
const NOT_FOUND = 'Symbol(fastify.404ContextKey)'
const SERIALIZER = 'Symbol(fastify.reply.serializer)'
const TRAILERS = 'Symbol(fastify.reply.trailers)'

/** Of find-my-way. */
const DEFAULT_MAX_PARAM_LENGTH = 100
/** The name of that hook, which is bound to its instance. */
const HEAD_HOOK = 'bound headRouteOnSendHandler'

/** A request before its handler runs. */
export interface ReplyFacts {
  /** It came by `inject()` and not by a connection. */
  readonly isInjected: boolean
  /** Nobody may change the body, so that ranges of it are served. */
  readonly servesRanges: boolean
  /** Whether trailers were added since, or taken away; no where that can't be known. */
  readonly hasNewTrailers: () => boolean
}

/** Finds symbols once, by their description. */
export class FastifyInternals {
  #context: symbol | undefined
  #fields: symbol | undefined
  #serializer: symbol | undefined
  #trailers: symbol | undefined
  #payload: symbol | undefined
  #notFound: symbol | undefined

  /** The hooks of the route that this request is for; undefined where this Fastify keeps them elsewhere. */
  contextOf (request: FastifyRequest): RouteContext | undefined {
    this.#context ??= symbolOf(request, CONTEXT)
    const context = this.#context === undefined ? undefined : (request as unknown as Record<symbol, RouteContext>)[this.#context]
    if (context === undefined) return undefined
    const { onSend, onError, preHandler } = context
    return (onSend === null || Array.isArray(onSend)) && (onError === null || Array.isArray(onError)) &&
      (preHandler === null || Array.isArray(preHandler))
      ? context
      : undefined
  }

  /**
   * Has `reply.callNotFound()` run with other hooks: those that `hooks` makes of the not-found handler's own. Does nothing
   * where this Fastify keeps them elsewhere.
   */
  replaceNotFound (context: RouteContext, hooks: (notFound: RouteContext) => RouteContext): void {
    this.#notFound ??= symbolOf(context, NOT_FOUND)
    if (this.#notFound === undefined) return
    const all = context as unknown as Record<symbol, RouteContext | null | undefined>
    const notFound = all[this.#notFound]
    if (notFound !== null && notFound !== undefined && areHooks(notFound)) all[this.#notFound] = hooks(notFound)
  }

  /**
   * Whether nobody may change the body, so that ranges of it are served. All that Fastify's own hook of a HEAD route does is take it away.
   */
  servesRanges (request: FastifyRequest): boolean {
    const hooks = this.contextOf(request)?.onSend
    return hooks === null || (request.method === 'HEAD' && hooks?.length === 1 && hooks[0]?.name === HEAD_HOOK)
  }

  /** Lets this one request's response run through other hooks. */
  useContext (request: FastifyRequest, context: RouteContext): void {
    (request as unknown as Record<symbol, RouteContext>)[this.#context as symbol] = context
  }

  /**
   * Lets this one request's response run through the hooks that `hooks` makes of its route's, once for a route. Returns whether it
   * does: this Fastify may keep them elsewhere.
   */
  rehook (request: FastifyRequest, made: WeakMap<RouteContext, RouteContext>, hooks: (context: RouteContext) => RouteContext): boolean {
    const context = this.contextOf(request)
    if (context === undefined) return false
    let other = made.get(context)
    if (other === undefined) made.set(context, other = hooks(context))
    this.useContext(request, other)
    return true
  }

  /** Lets this one request's response run through one hook more, behind all others. */
  addLast (request: FastifyRequest, hook: onSendHookHandler): void {
    const context = this.contextOf(request)
    if (context !== undefined) this.useContext(request, around(context, [...context.onSend ?? [], hook]))
  }

  /** What has to be known of a request before its handler runs, and before it is rehooked. */
  factsOf (request: FastifyRequest, reply: FastifyReply): ReplyFacts {
    return { isInjected: this.isInjected(reply), servesRanges: this.servesRanges(request), hasNewTrailers: this.#trailersSince(reply) }
  }

  /** Whether this request came by `inject()` and not by a connection. */
  isInjected (reply: FastifyReply): boolean {
    return (reply.raw as { isLightMyRequest?: boolean }).isLightMyRequest === true
  }

  /** The header fields that were set on this reply, those past Fastify not among them unless that can't be known. To be read only. */
  fieldsOf (reply: FastifyReply): Fields {
    this.#fields ??= symbolOf(reply, FIELDS)
    return this.#fields === undefined ? reply.getHeaders() as Fields : (reply as unknown as Record<symbol, Fields>)[this.#fields]!
  }

  /** Gives the reply these fields in place of those that were set on it, to keep. */
  useFields (reply: FastifyReply, fields: Fields): void {
    if (this.#fields !== undefined) (reply as unknown as Record<symbol, Fields>)[this.#fields] = fields
    else {
      for (const name in reply.getHeaders()) reply.removeHeader(name)
      reply.headers(fields as Record<string, string>)
    }
  }

  /** Sends text as it is, whatever serializer a hook has set. That one is back before any hook is shown the text. */
  sendText (reply: FastifyReply, text: string): void {
    this.#serializer ??= symbolOf(reply, SERIALIZER)
    const own = (this.#serializer === undefined
      ? null
      : (reply as unknown as Record<symbol, unknown>)[this.#serializer]) as (payload: unknown) => string
    const putBack = (): void => { reply.serializer(own) }
    reply.serializer((payload: string) => { putBack(); return payload })
    reply.send(text)
  }

  /** Whether the parser was given what came: no preParsing hook put another stream in its place, as far as that can be known. */
  isParsedAsItCame (request: FastifyRequest): boolean {
    this.#payload ??= symbolOf(request, PAYLOAD)
    return this.#payload !== undefined && (request as unknown as Record<symbol, unknown>)[this.#payload] === request.raw
  }

  /** Whether somebody has announced trailers, or whether that can't be known. */
  mayHaveTrailers (reply: FastifyReply): boolean {
    return this.#trailersIn(reply) !== null
  }

  #trailersSince (reply: FastifyReply): () => boolean {
    const before = { ...this.#trailersIn(reply) }
    return () => {
      const now = this.#trailersIn(reply) ?? {}
      return Object.keys({ ...before, ...now }).some((name) => now[name] !== before[name])
    }
  }

  /** Takes all trailers away. */
  dropTrailers (reply: FastifyReply): void {
    for (const name of Object.keys(this.#trailersIn(reply) ?? {})) reply.removeTrailer(name)
  }

  #trailersIn (reply: FastifyReply): Record<string, unknown> | null | undefined {
    this.#trailers ??= symbolOf(reply, TRAILERS)
    return this.#trailers === undefined ? undefined : (reply as unknown as Record<symbol, Record<string, unknown> | null>)[this.#trailers]
  }
}

/** How an application's router reads paths. */
export interface Routing {
  readonly caseSensitive: boolean
  readonly ignoreTrailingSlash: boolean
  readonly ignoreDuplicateSlashes: boolean
  readonly useSemicolonDelimiter: boolean
  readonly allowUnsafeRegex: boolean
  /** The most characters that a parameter has. */
  readonly maxParamLength: number
  /** Whether a function of the application's own parses queries: parameters may be named otherwise than in the URL. */
  readonly parsesQueries: boolean
}

interface Options { readonly rewriteUrl?: unknown, readonly routerOptions?: object }

/** Whether the application rewrites URLs (`rewriteUrl`), or whether that can't be known. */
export function rewritesUrls (fastify: FastifyInstance): boolean {
  const options = keptBy<Options>(fastify, OPTIONS)
  return options === undefined || options.rewriteUrl !== undefined
}

/**
 * What the application's router was given. `initialConfig` is the second choice: where `routerOptions` is given, it has defaults in
 * there for what was given beside it.
 */
export function routingOf (fastify: FastifyInstance): Routing {
  const options = keptBy<Options>(fastify, OPTIONS) ?? fastify.initialConfig as Options
  const given = { ...options, ...options.routerOptions } as { readonly [name in keyof Routing]?: unknown }
  return {
    caseSensitive: given.caseSensitive !== false,
    ignoreTrailingSlash: Boolean(given.ignoreTrailingSlash),
    ignoreDuplicateSlashes: Boolean(given.ignoreDuplicateSlashes),
    useSemicolonDelimiter: Boolean(given.useSemicolonDelimiter),
    allowUnsafeRegex: Boolean(given.allowUnsafeRegex),
    maxParamLength: Number(given.maxParamLength) || DEFAULT_MAX_PARAM_LENGTH,
    // What can't be known is taken for one.
    parsesQueries: keptBy(fastify, OPTIONS) === undefined || (given as { querystringParser?: unknown }).querystringParser !== undefined
  }
}

const kMade = Symbol('fastify-response-cache.made')

/**
 * Has `made` called with each request below this instance, and its route's `config`, as soon as it is made, before any hook. Fastify
 * assigns what a request is decorated with in its constructor; here a setter is in the way of that. Nobody would catch there what `made`
 * throws: it is let go.
 */
export function onRequestMade (
  fastify: FastifyInstance, internals: FastifyInternals, made: (request: FastifyRequest, config: RouteContext['config']) => void
): void {
  const requests = keptBy<{ readonly prototype: object }>(fastify, REQUEST)
  if (requests === undefined || fastify.hasRequestDecorator(kMade)) return
  fastify.decorateRequest(kMade, null)
  Object.defineProperty(requests.prototype, kMade, {
    get: () => null,
    set (this: FastifyRequest) {
      try {
        made(this, internals.contextOf(this)?.config)
      } catch {}
    }
  })
}

/** What the instance, or one around it, keeps under a symbol of this description. */
function keptBy<T> (fastify: FastifyInstance, description: string): T | undefined {
  for (let scope: object | null = fastify; scope !== null; scope = Object.getPrototypeOf(scope)) {
    const symbol = symbolOf(scope, description)
    if (symbol !== undefined) return (scope as Record<symbol, T>)[symbol]
  }
  return undefined
}

/** `context` with other hooks for onSend, and maybe one before those of onError. */
export function around (context: RouteContext, onSend: readonly onSendHookHandler[], onError?: onErrorHookHandler): RouteContext {
  const copy = Object.assign(Object.create(Object.getPrototypeOf(context)), context)
  copy.onSend = onSend
  if (onError !== undefined) copy.onError = [onError, ...(context.onError ?? [])]
  return copy
}

type Done = (err: null, payload?: unknown) => void

/**
 * A hook behind all others. Fastify's own for HEAD says of no content that it is 0 bytes long, and a 204 or a 304 must not
 * say that (RFC 9110 section 8.6).
 */
export function withoutLength (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: Done): void {
  const isWrong = request.method === 'HEAD' && hasNoContent(reply.statusCode) && reply.getHeader('content-length') === '0'
  if (isWrong) reply.removeHeader('content-length')
  done(null, payload)
}

function areHooks ({ onSend, onError, preHandler }: RouteContext): boolean {
  return (onSend === null || Array.isArray(onSend)) && (onError === null || Array.isArray(onError)) &&
    (preHandler === null || Array.isArray(preHandler))
}

function symbolOf (object: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(object).find((symbol) => String(symbol) === description)
}
