// A request as it came: what the router saw of it, noted before any hook can change it.
import type { FastifyRequest } from 'fastify'

/** Where a request keeps how it came; undefined where that was not noted. */
export const kArrival = Symbol('fastify-response-cache.arrival')

export const NOT_NOTED = 'how the request came could not be noted before hooks ran: they may have changed it'

/** What a handler depends on and hooks may change, as it was before they did. */
export class Arrival {
  readonly method: string
  /** The request target that the router saw. */
  readonly target: string
  /** The same before `rewriteUrl`. */
  readonly originalTarget: string
  readonly protocol: string
  readonly host: string
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
  /** Whether a hook gave the parser something other than what came. */
  isBodyReplaced = false
  /** What hooks have made of the target and the origin, where that differs; a part of every selection among stored responses. */
  changes = ''

  constructor ({ raw, protocol, host }: Pick<FastifyRequest, 'raw' | 'protocol' | 'host'>) {
    const { headers, method, url, originalUrl, stream } = raw as unknown as RawRequest
    const { ':authority': authority, 'content-length': length } = headers
    this.method = method
    this.target = url
    this.originalTarget = originalUrl ?? url
    this.protocol = protocol
    this.host = host
    this.rawHeaders = raw.rawHeaders.slice()
    this.hasAuthorization = headers.authorization !== undefined
    this.hasCookie = headers.cookie !== undefined
    this.hasUpgrade = headers.upgrade !== undefined
    this.hasTwoHosts = authority !== undefined && headers.host !== undefined && headers.host !== authority
    this.hasBody = headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0') || stream?.endAfterHeaders === false
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
}

/** A request whose arrival was noted. */
export type ArrivedRequest = FastifyRequest & { readonly [kArrival]: Arrival }

interface RawRequest {
  readonly headers: FastifyRequest['headers']
  readonly method: string
  readonly url: string
  readonly originalUrl?: string
  /** HTTP/2 alone. */
  readonly stream?: { readonly endAfterHeaders?: boolean }
}

export function hasArrived (request: FastifyRequest): request is ArrivedRequest {
  return (request as Partial<ArrivedRequest>)[kArrival] !== undefined
}
