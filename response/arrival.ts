// A request as it came: what the router saw of it, noted before any hook can change it.
import type { FastifyRequest } from 'fastify'

/** Where a request keeps how it came; undefined where that was not noted. */
export const kArrival = Symbol('fastify-response-cache.arrival')

export const NOT_NOTED = 'how the request came could not be noted before hooks ran: they may have changed it'

/** Marks the `config` of routes whose keys are made of bodies too. */
export const kBodyCounts = Symbol('fastify-response-cache.body-counts')

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
  readonly hasAuthorization: boolean
  readonly hasCookie: boolean
  readonly hasUpgrade: boolean
  /** RFC 9113 section 8.3.1: HTTP/2 has two names for the host, and handlers read either. */
  readonly hasTwoHosts: boolean
  readonly hasBody: boolean
  /** The parsed body as a part of a key; undefined until it is parsed, and where it can't be told apart beyond doubt. */
  body: string | undefined
  /** Whether what was parsed may be something other than what came. */
  isBodyReplaced = false
  /** What hooks have made of the target and the origin, where that differs; a part of every selection among stored responses. */
  changes = ''

  constructor (request: Pick<FastifyRequest, 'raw' | 'protocol' | 'host'>) {
    const { headers, method, url, originalUrl, rawHeaders, stream } = request.raw as unknown as RawRequest
    const { ':authority': authority, host } = headers
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
    const isUntouched = ORIGIN_FIELDS.every((name) => headers[name] === undefined ? !this.#has(name) : this.lines(name).join(', ') === headers[name])
    this.originFields = isUntouched ? '' : JSON.stringify(ORIGIN_FIELDS.map((name) => this.lines(name)))
    // In `headers` or as it came: what runs before hooks may have taken it away, or put it there.
    const has = (name: string): boolean => headers[name] !== undefined || this.#has(name)
    this.hasAuthorization = has('authorization')
    this.hasCookie = has('cookie')
    this.hasUpgrade = has('upgrade')
    this.hasTwoHosts = authority !== undefined && host !== undefined && host !== authority
    this.hasBody = has('transfer-encoding') || stream?.endAfterHeaders === false || (has('content-length') && headers['content-length'] !== '0')
  }

  /** The lines of a header field. */
  lines (name: string): string[] {
    const { rawHeaders } = this
    const lines: string[] = []
    for (let at = 0; at < rawHeaders.length; at += 2) {
      if (rawHeaders[at]!.length === name.length && rawHeaders[at]!.toLowerCase() === name) lines.push(rawHeaders[at + 1]!)
    }
    return lines
  }

  #has (name: string): boolean {
    const { rawHeaders } = this
    for (let at = 0; at < rawHeaders.length; at += 2) {
      if (rawHeaders[at]!.length === name.length && rawHeaders[at]!.toLowerCase() === name) return true
    }
    return false
  }
}

const ORIGIN_FIELDS = ['host', ':authority', 'x-forwarded-host', 'x-forwarded-proto'] as const

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
