// The original state of a request, recorded when Fastify creates the request, before any hook can change it.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { onRequestMade, type FastifyInternals } from '../fastify/fastify-internals.js'
import { isSafe } from '../http/methods.js'
import { bodyText, exactJson, LARGEST_KEY_BODY_BYTES } from './key-parts.js'
import { listed } from './query.js'

/** The property of a request that holds its arrival. The property is undefined if the arrival was not recorded. */
export const kArrival = Symbol('fastify-response-cache.arrival')

export const NOT_NOTED = 'the request could not be recorded as it came before hooks ran, and they may have changed it'

/** The property of a route's `config` that lists other parts of requests to be recorded, because the route's keys contain them. */
export const kAlsoNoted = Symbol('fastify-response-cache.also-noted')
export interface AlsoNoted {
  readonly body: boolean
  /** The names of query parameters. Their values are recorded as the application's own parser returned them. */
  readonly query: readonly string[]
}

/** The parts of a request that handlers depend on and hooks may change, as they were before any hook ran. */
export class Arrival {
  readonly method: string
  /** The request target that the router received. */
  readonly target: string
  /** The request target before `rewriteUrl`. */
  readonly originalTarget: string
  /** Protocol and host are undefined if the application's `trustProxy` function threw. */
  readonly protocol: string | undefined
  readonly host: string | undefined
  /**
   * The raw values of the fields that determine the origin, as JSON, if one of these fields had been changed before the request was
   * recorded; otherwise ''. Only `rewriteUrl` and `genReqId` run early enough to change them, because they run before Fastify's hooks.
   */
  readonly originFields: string
  /** A copy of the raw header fields: name, value, name, value ... */
  readonly rawHeaders: readonly string[]
  /** These three are true if `headers` or `rawHeaders` has the field. Code that runs before hooks may have changed either of them. */
  readonly hasAuthorization: boolean
  readonly hasCookie: boolean
  readonly hasUpgrade: boolean
  /** Whether `host` and `:authority`, which both name the host in HTTP/2, differ (RFC 9113 section 8.3.1). Handlers may read either. */
  readonly hasTwoHosts: boolean
  readonly hasBody: boolean
  /**
   * The parsed body, encoded as a part of the key. This is undefined until the body is parsed, and remains undefined if the body can't be
   * part of a key (see `bodyText`).
   */
  body: string | undefined
  /**
   * The query parameters that are part of the key, as the application's own parser returned them, in JSON. This is undefined if the
   * application has no parser of its own, and '' if JSON can't represent the parameters.
   */
  query: string | undefined
  /** Whether the parsed body may differ from what the client sent. */
  isBodyReplaced = false
  /** The target and origin after hooks changed them, or '' if nothing changed. Two requests with different texts never share a response. */
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
    // Host is the only field about the origin that most requests have. Comparing that one field is faster than comparing all of them.
    const isUntouched = (has & ORIGIN) === HOST
      ? headers.host === this.line('host')
      : ORIGIN_FIELDS.every((name) => headers[name] === this.#joined(name))
    this.originFields = isUntouched ? '' : JSON.stringify(ORIGIN_FIELDS.map((name) => this.lines(name)))
    this.hasTwoHosts = (has & ORIGIN) !== HOST && headers[':authority'] !== undefined && headers.host !== undefined &&
      headers.host !== headers[':authority']
    this.hasBody = (has & CONTENT) !== 0 || stream?.endAfterHeaders === false
  }

  /** Returns the value of a raw header field, undefined if the field is absent, or null if it has several lines. */
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

  /** Returns all lines of a raw header field. */
  lines (name: string): string[] {
    return this.rawHeaders.filter((_, at) => at % 2 === 1 && this.rawHeaders[at - 1]!.toLowerCase() === name)
  }
}

const HOST = 1
const ORIGIN_FIELDS = ['host', ':authority', 'x-forwarded-host', 'x-forwarded-proto'] as const
/** The fields whose presence is checked for every key. Each field has one bit, and the first field has the lowest. */
const COUNTED = [...ORIGIN_FIELDS, 'authorization', 'cookie', 'upgrade', 'content-length', 'transfer-encoding'] as const
const [AUTHORIZATION, COOKIE, UPGRADE] = [1 << 4, 1 << 5, 1 << 6]
const ORIGIN = AUTHORIZATION - 1
const CONTENT = 1 << 7 | 1 << 8

/** The fields in `COUNTED`, grouped by the length of their names. */
const BY_LENGTH: Array<Array<{ readonly name: string, readonly first: number, readonly bit: number }> | undefined> = Array(32)
  .fill(undefined)
COUNTED.forEach((name, at) => { (BY_LENGTH[name.length] ??= []).push({ name, first: name.charCodeAt(0), bit: 1 << at }) })
const LOWER_CASE = 32

/** Returns the bits of the fields that are present. Runs on every request, so it must be fast: it compares only a few names in full. */
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

/** A request whose arrival was recorded. */
export type ArrivedRequest = FastifyRequest & { readonly [kArrival]: Arrival }

interface RawRequest {
  readonly headers: FastifyRequest['headers']
  readonly method: string
  readonly url: string
  readonly originalUrl?: string
  readonly rawHeaders: readonly string[]
  /** Present only in HTTP/2. */
  readonly stream?: { readonly endAfterHeaders?: boolean }
}

export function hasArrived (request: FastifyRequest): request is ArrivedRequest {
  return (request as Partial<ArrivedRequest>)[kArrival] !== undefined
}

/** Records the arrival of each request that the cache may handle, for all routes below this instance. */
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

/** Records the body as soon as Fastify has parsed it, because later hooks may change it in place. */
function noteBody (request: ArrivedRequest, internals: FastifyInternals): void {
  const plain = { configurable: true, enumerable: true }
  Object.defineProperty(request, 'body', {
    ...plain,
    get: () => undefined,
    set (body: unknown) {
      Object.defineProperty(request, 'body', { ...plain, writable: true, value: body })
      const arrival = request[kArrival]
      // If the payload was not read to its end, the parser has not received all of it, or a hook has set the body.
      arrival.isBodyReplaced = !internals.isParsedAsItCame(request) || !request.raw.readableEnded
      const isTooLarge = Number(request.headers['content-length']) > LARGEST_KEY_BODY_BYTES
      if (body !== undefined && !isTooLarge) arrival.body = bodyText(body)
    }
  })
}
