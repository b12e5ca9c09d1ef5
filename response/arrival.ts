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
    const came = counted(this.rawHeaders)
    const isUntouched = headers.host === came.host && authority === came[':authority'] &&
      headers['x-forwarded-host'] === came['x-forwarded-host'] && headers['x-forwarded-proto'] === came['x-forwarded-proto']
    this.originFields = isUntouched ? '' : JSON.stringify(['host', ':authority', 'x-forwarded-host', 'x-forwarded-proto'].map((name) => this.lines(name)))
    // In `headers` or as it came: what runs before hooks may have taken it away, or put it there.
    this.hasAuthorization = (headers.authorization ?? came.authorization) !== undefined
    this.hasCookie = (headers.cookie ?? came.cookie) !== undefined
    this.hasUpgrade = (headers.upgrade ?? came.upgrade) !== undefined
    this.hasTwoHosts = authority !== undefined && host !== undefined && host !== authority
    const length = headers['content-length'] ?? came['content-length']
    this.hasBody = (headers['transfer-encoding'] ?? came['transfer-encoding']) !== undefined || (length !== undefined && length !== '0') || stream?.endAfterHeaders === false
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

  /** Its lines. */
  lines (name: string): string[] {
    return this.rawHeaders.filter((_, at) => at % 2 === 1 && this.rawHeaders[at - 1]!.toLowerCase() === name)
  }
}

/** Of a request's fields those that every key has to do with. */
class Counted {
  host: string | undefined = undefined
  ':authority': string | undefined = undefined
  'x-forwarded-host': string | undefined = undefined
  'x-forwarded-proto': string | undefined = undefined
  authorization: string | undefined = undefined
  cookie: string | undefined = undefined
  upgrade: string | undefined = undefined
  'content-length': string | undefined = undefined
  'transfer-encoding': string | undefined = undefined
}

/** What their names begin with, by the length of the name; of two of one length, what the other begins with. */
const FIRST = new Uint8Array(18)
const OTHER_FIRST = new Uint8Array(18)
for (const name of Object.keys(new Counted())) (FIRST[name.length] === 0 ? FIRST : OTHER_FIRST)[name.length] = name.charCodeAt(0)

const LOWER_CASE = 32

/** Asked of every request: one walk for all of them, in which hardly any other name is looked at whole. */
function counted (rawHeaders: readonly string[]): Counted {
  const found = new Counted()
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const { length } = rawHeaders[at]!
    if (length >= FIRST.length) continue
    const first = rawHeaders[at]!.charCodeAt(0) | LOWER_CASE
    if (first !== FIRST[length] && first !== OTHER_FIRST[length]) continue
    const name = rawHeaders[at]!.toLowerCase() as keyof Counted
    if (Object.hasOwn(found, name)) found[name] = found[name] === undefined ? rawHeaders[at + 1]! : `${found[name]}, ${rawHeaders[at + 1]!}`
  }
  return found
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
