// All access to Fastify's unpublished internals. If they are missing, nothing is cached, and a log line says so.
import type {
  FastifyInstance, FastifyReply, FastifyRequest, onErrorHookHandler, onSendHookHandler, preHandlerHookHandler, preSerializationHookHandler
} from 'fastify'
import type { Fields } from '../http/field-values.js'
import { hasNoContent } from '../http/status-codes.js'

/** The object that Fastify creates for a route, with the route's `config` and hooks. A list of hooks that would be empty is null. */
export interface RouteContext {
  readonly config?: { readonly cache?: unknown }
  readonly onSend: readonly onSendHookHandler[] | null
  readonly onError: readonly onErrorHookHandler[] | null
  readonly preHandler: readonly preHandlerHookHandler[] | null
  readonly preSerialization: ReadonlyArray<preSerializationHookHandler<unknown>> | null
}

const CONTEXT = 'Symbol(fastify.context)'
const OPTIONS = 'Symbol(fastify.options)'
const FIELDS = 'Symbol(fastify.reply.headers)'
const REQUEST = 'Symbol(fastify.Request)'
const REPLY = 'Symbol(fastify.Reply)'
const PAYLOAD = 'Symbol(fastify.RequestPayloadStream)'
const NOT_FOUND = 'Symbol(fastify.404ContextKey)'
const SERIALIZER = 'Symbol(fastify.reply.serializer)'
const TRAILERS = 'Symbol(fastify.reply.trailers)'
// Of @fastify/cookie: cookies that it writes into Set-Cookie only in its onSend hook.
const COOKIES = 'Symbol(fastify.reply.setCookies)'

/** The default limit of find-my-way on the length of a parameter. */
const DEFAULT_MAX_PARAM_LENGTH = 100
/** The name of Fastify's own onSend hook for HEAD routes. It is bound to an instance, so only its name can be compared. */
const HEAD_HOOK = 'bound headRouteOnSendHandler'

/** Facts about a request that are collected before its handler runs. */
export interface ReplyFacts {
  /** Whether the request came from `inject()` instead of a connection. */
  readonly isInjected: boolean
  /** Returns whether trailers were added or removed after the facts were collected. Returns false if that can't be known. */
  readonly hasNewTrailers: () => boolean
  /** Whether `reply.setCookie()` was called since then. True if that can't be known. */
  readonly hasNewCookies: () => boolean
}

/** Accesses Fastify's internals by their symbols. Each symbol is found once, by its description. */
export class FastifyInternals {
  #context: symbol | undefined
  #fields: symbol | undefined
  #serializer: symbol | undefined
  #trailers: symbol | undefined
  #cookies: symbol | undefined
  #payload: symbol | undefined
  #notFound: symbol | undefined

  /** Returns the context of this request's route, or undefined if this version of Fastify keeps hooks elsewhere. */
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
   * Makes `reply.callNotFound()` run the hooks that `hooks` returns, instead of the not-found handler's own hooks. Does nothing if this
   * version of Fastify keeps those hooks elsewhere.
   */
  replaceNotFound (context: RouteContext, hooks: (notFound: RouteContext) => RouteContext): void {
    this.#notFound ??= symbolOf(context, NOT_FOUND)
    if (this.#notFound === undefined) return
    const all = context as unknown as Record<symbol, RouteContext | null | undefined>
    const notFound = all[this.#notFound]
    if (notFound !== null && notFound !== undefined && areHooks(notFound)) all[this.#notFound] = hooks(notFound)
  }

  /** Returns whether the response passes through onSend hooks, including Fastify's own for HEAD. Returns true if that can't be known. */
  isHooked (request: FastifyRequest): boolean {
    return this.contextOf(request)?.onSend !== null
  }

  /** Makes Fastify run the hooks in `context` for the response to this one request. */
  useContext (request: FastifyRequest, context: RouteContext): void {
    (request as unknown as Record<symbol, RouteContext>)[this.#context as symbol] = context
  }

  /**
   * Makes Fastify run the hooks that `hooks` returns for the response to this one request. `hooks` is called once for each route. Returns
   * false if this version of Fastify keeps hooks elsewhere.
   */
  rehook (request: FastifyRequest, made: WeakMap<RouteContext, RouteContext>, hooks: (context: RouteContext) => RouteContext): boolean {
    const context = this.contextOf(request)
    if (context === undefined) return false
    let other = made.get(context)
    if (other === undefined) made.set(context, other = hooks(context))
    this.useContext(request, other)
    return true
  }

  /** Collects the facts about a request. Call this before the handler runs. */
  factsOf (reply: FastifyReply): ReplyFacts {
    return {
      isInjected: this.isInjected(reply),
      hasNewTrailers: this.#trailersSince(reply),
      hasNewCookies: this.#cookiesSince(reply)
    }
  }

  /** Returns whether this request came from `inject()` instead of a connection. */
  isInjected (reply: FastifyReply): boolean {
    return (reply.raw as { isLightMyRequest?: boolean }).isLightMyRequest === true
  }

  /**
   * Returns the header fields that were set on this reply through Fastify. If this version of Fastify keeps them elsewhere, the fields that
   * were set on the raw response are included. The caller must not change the object.
   */
  fieldsOf (reply: FastifyReply): Fields {
    this.#fields ??= symbolOf(reply, FIELDS)
    return this.#fields === undefined ? reply.getHeaders() as Fields : (reply as unknown as Record<symbol, Fields>)[this.#fields]!
  }

  /** Replaces the header fields of the reply. The reply keeps the object itself, not a copy. */
  useFields (reply: FastifyReply, fields: Fields): void {
    if (this.#fields !== undefined) (reply as unknown as Record<symbol, Fields>)[this.#fields] = fields
    else {
      for (const name in reply.getHeaders()) reply.removeHeader(name)
      reply.headers(fields as Record<string, string>)
    }
  }

  /** Sends a string unchanged, without the serializer of a hook, if any. That serializer is restored before a hook receives the string. */
  sendText (reply: FastifyReply, text: string): void {
    this.#serializer ??= symbolOf(reply, SERIALIZER)
    const own = (this.#serializer === undefined
      ? null
      : (reply as unknown as Record<symbol, unknown>)[this.#serializer]) as (payload: unknown) => string
    const putBack = (): void => { reply.serializer(own) }
    reply.serializer((payload: string) => { putBack(); return payload })
    reply.send(text)
  }

  /** Returns whether the parser received the original payload. Returns false if a preParsing hook replaced it, or if this is unknown. */
  isParsedAsItCame (request: FastifyRequest): boolean {
    this.#payload ??= symbolOf(request, PAYLOAD)
    return this.#payload !== undefined && (request as unknown as Record<symbol, unknown>)[this.#payload] === request.raw
  }

  /** Returns whether the reply has trailers. Returns true if that can't be known. */
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

  #cookiesSince (reply: FastifyReply): () => boolean {
    if ((reply as { setCookie?: unknown }).setCookie === undefined) return () => false
    const before = new Set(this.#cookiesIn(reply))
    return () => {
      const now = this.#cookiesIn(reply)
      return now === undefined || now.some((cookie) => !before.has(cookie))
    }
  }

  /** Returns the cookies that @fastify/cookie has not written yet, or undefined if this version of it keeps them elsewhere. */
  #cookiesIn (reply: FastifyReply): object[] | undefined {
    this.#cookies ??= symbolOf(reply, COOKIES)
    const cookies = this.#cookies === undefined ? undefined : (reply as unknown as Record<symbol, unknown>)[this.#cookies]
    return cookies instanceof Map ? [...cookies.values()] : cookies === null ? [] : undefined
  }

  /** Removes all trailers. */
  dropTrailers (reply: FastifyReply): void {
    for (const name of Object.keys(this.#trailersIn(reply) ?? {})) reply.removeTrailer(name)
  }

  #trailersIn (reply: FastifyReply): Record<string, unknown> | null | undefined {
    this.#trailers ??= symbolOf(reply, TRAILERS)
    return this.#trailers === undefined ? undefined : (reply as unknown as Record<symbol, Record<string, unknown> | null>)[this.#trailers]
  }
}

/** The options by which the application's router reads paths. */
export interface Routing {
  readonly caseSensitive: boolean
  readonly ignoreTrailingSlash: boolean
  readonly ignoreDuplicateSlashes: boolean
  readonly useSemicolonDelimiter: boolean
  readonly allowUnsafeRegex: boolean
  /** The maximum number of characters in a parameter. */
  readonly maxParamLength: number
  /** Whether the application has its own query parser. Such a parser may return parameter names that don't appear in the URL. */
  readonly parsesQueries: boolean
}

interface Options { readonly rewriteUrl?: unknown, readonly routerOptions?: object }

/** Returns whether the application rewrites URLs (`rewriteUrl`). Returns true if that can't be known. */
export function rewritesUrls (fastify: FastifyInstance): boolean {
  const options = keptBy<Options>(fastify, OPTIONS)
  return options === undefined || options.rewriteUrl !== undefined
}

/**
 * Returns the options of the application's router. Falls back to `initialConfig` only if the application's options can't be found, because
 * `initialConfig` is not reliable. If `routerOptions` was given, it shows defaults instead of router options given at the top level.
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
    // If the options can't be found, the application is assumed to have a parser of its own.
    parsesQueries: keptBy(fastify, OPTIONS) === undefined || (given as { querystringParser?: unknown }).querystringParser !== undefined
  }
}

/** Fastify's class of requests or replies of one scope. Its constructor assigns these properties. */
export interface Decorated {
  readonly props: Array<{ readonly key: PropertyKey, readonly value: unknown }>
}

/** The classes of a scope's requests and replies. */
export interface Classes { readonly Request: Decorated, readonly Reply: Decorated }

/** Returns the classes of this instance's scope, or undefined if this version of Fastify keeps them elsewhere. */
export function classesOf (fastify: FastifyInstance): Classes | undefined {
  const [Request, Reply] = [keptBy<Decorated>(fastify, REQUEST), keptBy<Decorated>(fastify, REPLY)]
  return Request === undefined || Reply === undefined ? undefined : { Request, Reply }
}

const kMade = Symbol('fastify-response-cache.made')

/**
 * Calls `made` for each new request below this instance, with the request and the `config` of its route, before any hook runs. The call is
 * made by the setter of a decorated property: Fastify's request constructor assigns all decorated properties. Errors that `made` throws are
 * ignored, because nothing could catch them.
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

/** Returns the value that the instance, or an enclosing one, keeps under a symbol with this description, or undefined if there is none. */
function keptBy<T> (fastify: FastifyInstance, description: string): T | undefined {
  for (let scope: object | null = fastify; scope !== null; scope = Object.getPrototypeOf(scope)) {
    const symbol = symbolOf(scope, description)
    if (symbol !== undefined) return (scope as Record<symbol, T>)[symbol]
  }
  return undefined
}

/** Returns a copy of `context` with these onSend hooks instead of its own. `onError`, if given, runs before the context's onError hooks. */
export function around (context: RouteContext, onSend: readonly onSendHookHandler[], onError?: onErrorHookHandler): RouteContext {
  const copy = Object.assign(Object.create(Object.getPrototypeOf(context)), context)
  copy.onSend = onSend
  if (onError !== undefined) copy.onError = [onError, ...(context.onError ?? [])]
  return copy
}

/** Returns the hooks with `hook` after them, but before Fastify's own hook for HEAD, which removes the body. */
export function afterHooks (onSend: readonly onSendHookHandler[], hook: onSendHookHandler): onSendHookHandler[] {
  const own = onSend.at(-1)?.name === HEAD_HOOK ? onSend.slice(-1) : []
  return [...onSend.slice(0, onSend.length - own.length), hook, ...own]
}

type Done = (err: null, payload?: unknown) => void

/**
 * A hook that runs after all others, and removes a wrong Content-Length. For HEAD, Fastify's own hook sets Content-Length to 0 if there is
 * no content, but a 204 or 304 must not have that field (RFC 9110 section 8.6).
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
