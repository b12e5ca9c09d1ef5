// What is read of Fastify that it doesn't publish, in one place. Where it is missing, nothing is cached, and that is said.
import type { FastifyInstance, FastifyReply, FastifyRequest, onErrorHookHandler, onSendHookHandler } from 'fastify'
import type { Fields } from './http/policy.js'

/** The compiled hooks of a route: functions, or null where there are none. */
export interface RouteContext {
  readonly onSend: readonly onSendHookHandler[] | null
  readonly onError: readonly onErrorHookHandler[] | null
}

const CONTEXT = 'Symbol(fastify.context)'
const OPTIONS = 'Symbol(fastify.options)'
const FIELDS = 'Symbol(fastify.reply.headers)'
const SERIALIZER = 'Symbol(fastify.reply.serializer)'
const TRAILERS = 'Symbol(fastify.reply.trailers)'

/** Finds symbols once, by their description. */
export class FastifyInternals {
  #context: symbol | undefined
  #fields: symbol | undefined
  #serializer: symbol | undefined
  #trailers: symbol | undefined

  /** The hooks of the route that this request is for; undefined where this Fastify keeps them elsewhere. */
  contextOf (request: FastifyRequest): RouteContext | undefined {
    this.#context ??= symbolOf(request, CONTEXT)
    const context = this.#context === undefined ? undefined : (request as unknown as Record<symbol, RouteContext>)[this.#context]
    return context !== undefined && isHooks(context.onSend) && isHooks(context.onError) ? context : undefined
  }

  /** Lets this one request's answer run through other hooks. */
  useContext (request: FastifyRequest, context: RouteContext): void {
    (request as unknown as Record<symbol, RouteContext>)[this.#context as symbol] = context
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
    const own = (this.#serializer === undefined ? null : (reply as unknown as Record<symbol, unknown>)[this.#serializer]) as (payload: unknown) => string
    const putBack = (): void => { reply.serializer(own) }
    reply.serializer((payload: string) => { putBack(); return payload })
    reply.send(text)
  }

  /** Whether somebody has announced trailers, or whether that can't be known. */
  mayHaveTrailers (reply: FastifyReply): boolean {
    return this.#trailersIn(reply) !== null
  }

  /** Tells, when asked, whether trailers were added since, or taken away; no where that can't be known. */
  trailersSince (reply: FastifyReply): () => boolean {
    const before = { ...this.#trailersIn(reply) }
    return () => {
      const now = this.#trailersIn(reply) ?? {}
      return Object.keys({ ...before, ...now }).some((name) => now[name] !== before[name])
    }
  }

  #trailersIn (reply: FastifyReply): Record<string, unknown> | null | undefined {
    this.#trailers ??= symbolOf(reply, TRAILERS)
    return this.#trailers === undefined ? undefined : (reply as unknown as Record<symbol, Record<string, unknown> | null>)[this.#trailers]
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
