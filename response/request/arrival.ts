// A request as it came: what the router saw of it, noted as Fastify makes the request, before a hook of anybody can change it.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { onRequestMade, type FastifyInternals } from '../fastify/fastify-internals.js'
import { isSafe } from '../http/methods.js'
import { bodyText, exactJson, LARGEST_KEY_BODY_BYTES } from './key-parts.js'
import { listed } from './query.js'

/** Where a request keeps how it came; undefined where that was not noted. */
export const kArrival = Symbol('fastify-response-cache.arrival')

export const NOT_NOTED = 'the request could not be recorded as it came before hooks ran, and they may have changed it'

/** In the `config` of a route: what its keys are made of beside what every arrival has. */
export const kAlsoNoted = Symbol('fastify-response-cache.also-noted')
export interface AlsoNoted {
  readonly body: boolean
  /** The parameters that a parser of the application's own may have made of the query. */
  readonly query: readonly string[]
}

/** What a handler depends on and hooks may change, as it was before they did. */
export class Arrival {
  readonly method: string
  /** The request target that the router saw. */
  readonly target: string
  /** The same before `rewriteUrl`. */
  readonly originalTarget: string
  /** Both are undefined where a function of the application's, `trustProxy`, failed to tell them. */
  readonly protocol: string | undefined
  readonly host: string | undefined
  /** The fields that tell the origin, as they came, where something in front of Fastify's hooks (`rewriteUrl`, `genReqId`) changed them. */
  readonly originFields: string
  /** Name, value, name, value ...: the header fields. A copy. */
  readonly rawHeaders: readonly string[]
  /** In `headers` or as they came: what runs before hooks may have taken one away, or put it there. */
  readonly hasAuthorization: boolean
  readonly hasCookie: boolean
  readonly hasUpgrade: boolean
  /** RFC 9113 section 8.3.1: HTTP/2 has two names for the host, and handlers read either. */
  readonly hasTwoHosts: boolean
  readonly hasBody: boolean
  /** The parsed body as a part of a key; undefined until it is parsed, and where it can't be told apart beyond doubt. */
  body: string | undefined
  /**
   * JSON of the parameters that count, as the application's own parser made them of the query; undefined where Fastify's did, '' where they
   * are no JSON.
   */
  query: string | undefined
  /** Whether what was parsed may be something other than what came. */
  isBodyReplaced = false
  /** What hooks have made of the target and the origin, where that differs; a part of every selection among stored responses. */
  changes = ''

  constructor (request: Pick<FastifyRequest, 'raw' | 'protocol' | 'host'>) {
    const { headers, method, url, originalUrl, rawHeaders, stream } = request.raw as unknown as RawRequest
    this.method = method
    this.target = url
    this.originalTarget = originalUrl ?? url
    this.rawHeaders = rawHeaders.slice()
    try {
      this.protocol = request.protocol
      this.host = request.host
    } catch {
      this.protocol = this.host = undefined
    }
    const has = inLines(this.rawHeaders) | inFields(headers)
    this.hasAuthorization = (has & AUTHORIZATION) !== 0
    this.hasCookie = (has & COOKIE) !== 0
    this.hasUpgrade = (has & UPGRADE) !== 0
    // Mostly there is Host alone.
    const isUntouched = (has & ORIGIN) === HOST
      ? headers.host === this.line('host')
      : ORIGIN_FIELDS.every((name) => headers[name] === this.#joined(name))
    this.originFields = isUntouched ? '' : JSON.stringify(ORIGIN_FIELDS.map((name) => this.lines(name)))
    this.hasTwoHosts = (has & ORIGIN) !== HOST && headers[':authority'] !== undefined && headers.host !== undefined &&
      headers.host !== headers[':authority']
    this.hasBody = (has & CONTENT) !== 0 || stream?.endAfterHeaders === false
  }

  /** The line of a header field; undefined where there is none, null where there are several. */
  line (name: string): string | undefined | null {
    const { rawHeaders } = this
    let line: string | undefined
    for (let at = 0; at < rawHeaders.length; at += 2) {
      if (rawHeaders[at]!.length !== name.length || rawHeaders[at]!.toLowerCase() !== name) continue
      if (line !== undefined) return null
      line = rawHeaders[at + 1]
    }
    return line
  }

  #joined (name: string): string | undefined {
    const lines = this.lines(name)
    return lines.length === 0 ? undefined : lines.join(', ')
  }

  /** Its lines. */
  lines (name: string): string[] {
    return this.rawHeaders.filter((_, at) => at % 2 === 1 && this.rawHeaders[at - 1]!.toLowerCase() === name)
  }
}

const HOST = 1
const ORIGIN_FIELDS = ['host', ':authority', 'x-forwarded-host', 'x-forwarded-proto'] as const
/** Every key has to do with these fields. Each is a bit, in this order. */
const COUNTED = [...ORIGIN_FIELDS, 'authorization', 'cookie', 'upgrade', 'content-length', 'transfer-encoding'] as const
const [AUTHORIZATION, COOKIE, UPGRADE] = [1 << 4, 1 << 5, 1 << 6]
const ORIGIN = AUTHORIZATION - 1
const CONTENT = 1 << 7 | 1 << 8

/** By the length of the name. */
const BY_LENGTH: Array<Array<{ readonly name: string, readonly first: number, readonly bit: number }> | undefined> = Array(32)
  .fill(undefined)
COUNTED.forEach((name, at) => { (BY_LENGTH[name.length] ??= []).push({ name, first: name.charCodeAt(0), bit: 1 << at }) })
const LOWER_CASE = 32

/** Asked of every request: one walk for all of them, in which hardly any other name is looked at whole. */
function inLines (rawHeaders: readonly string[]): number {
  let has = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const raw = rawHeaders[at]!
    const alike = raw.length < BY_LENGTH.length ? BY_LENGTH[raw.length] : undefined
    if (alike === undefined) continue
    for (const { name, first, bit } of alike) {
      if ((raw.charCodeAt(0) | LOWER_CASE) !== first || raw.toLowerCase() !== name) continue
      const saysNone = name === 'content-length' && rawHeaders[at + 1] === '0'
      if (!saysNone) has |= bit
    }
  }
  return has
}

function inFields (headers: RawRequest['headers']): number {
  return (headers.host === undefined ? 0 : HOST) |
    (headers[':authority'] === undefined ? 0 : 1 << 1) |
    (headers['x-forwarded-host'] === undefined ? 0 : 1 << 2) |
    (headers['x-forwarded-proto'] === undefined ? 0 : 1 << 3) |
    (headers.authorization === undefined ? 0 : AUTHORIZATION) |
    (headers.cookie === undefined ? 0 : COOKIE) |
    (headers.upgrade === undefined ? 0 : UPGRADE) |
    (headers['content-length'] === undefined || headers['content-length'] === '0' ? 0 : 1 << 7) |
    (headers['transfer-encoding'] === undefined ? 0 : 1 << 8)
}

/** A request whose arrival was noted. */
export type ArrivedRequest = FastifyRequest & { readonly [kArrival]: Arrival }

interface RawRequest {
  readonly headers: FastifyRequest['headers']
  readonly method: string
  readonly url: string
  readonly originalUrl?: string
  readonly rawHeaders: readonly string[]
  /** HTTP/2 alone. */
  readonly stream?: { readonly endAfterHeaders?: boolean }
}

export function hasArrived (request: FastifyRequest): request is ArrivedRequest {
  return (request as Partial<ArrivedRequest>)[kArrival] !== undefined
}

/** Has every request below this instance that the cache will have to do with keep how it came. */
export function noteArrivals (fastify: FastifyInstance, internals: FastifyInternals): void {
  onRequestMade(fastify, internals, (request, config) => {
    const { cache, [kAlsoNoted]: also } = (config ?? {}) as { readonly cache?: unknown, readonly [kAlsoNoted]?: AlsoNoted }
    if ((cache === undefined || cache === false) && isSafe(request.method)) return
    const arrival = new Arrival(request)
    ;(request as { [kArrival]?: Arrival })[kArrival] = arrival
    if (also === undefined) return
    if (also.query.length > 0) arrival.query = exactJson(listed(request.query as Record<string, unknown>, also.query)) ?? ''
    if (also.body && arrival.hasBody) noteBody(request as ArrivedRequest, internals)
  })
}

/** Notes the body when Fastify has parsed it: hooks may change it in place afterwards. */
function noteBody (request: ArrivedRequest, internals: FastifyInternals): void {
  const plain = { configurable: true, enumerable: true }
  Object.defineProperty(request, 'body', {
    ...plain,
    get: () => undefined,
    set (body: unknown) {
      Object.defineProperty(request, 'body', { ...plain, writable: true, value: body })
      const arrival = request[kArrival]
      // What was not read to its end the parser has not seen, or a hook has set a body in its place.
      arrival.isBodyReplaced = !internals.isParsedAsItCame(request) || !request.raw.readableEnded
      const isTooLarge = Number(request.headers['content-length']) > LARGEST_KEY_BODY_BYTES
      if (body !== undefined && !isTooLarge) arrival.body = bodyText(body)
    }
  })
}
