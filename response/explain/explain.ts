// Explains what the cache would do with a request, by the same rules as for real requests, but without handler, hooks or socket.
import type { FastifyRequest } from 'fastify'
import { parse } from 'node:querystring'
import { checkOptions, expects, isRecord, text } from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import { Arrival, kArrival, type ArrivedRequest } from '../request/arrival.js'
import { joined } from '../http/field-values.js'
import type { Services } from '../services.js'
import { ageSeconds, type Entry, type ResponseHead } from '../store/entry.js'
import { Explanation, type Explained, type ExplainedEntry, type ExplainedKey, type Instant } from './explanation.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import { fieldOf } from '../request/request-fields.js'
import type { Located, RouteLookup } from './route-lookup.js'
import { listsTargets, type RoutePolicy } from '../options/route-options.js'
import { isSafe } from '../http/methods.js'
import { pathOf } from '../request/query.js'
import type { CachedRoute } from '../route.js'
import { decide } from '../serve-or-forward.js'
import type { BypassReason, ForwardReason, MissReason, RefusalReason } from '../observe/reasons.js'
import type { Found } from '../store/store.js'
import { partsOf } from '../options/invalidation-target.js'
import { canBeValidated, handlersValidators } from '../http/conditional.js'
import type { RequestDirectives } from '../http/request-directives.js'

/** The request to explain. */
export interface ExplainOptions {
  /** The request's method. @default 'GET' */
  method?: string
  /**
   * An absolute URL, or a path with its query. A path is requested from the host that `headers.host` names, or from `localhost:80` if that
   * field is absent, as with `inject()`.
   */
  url: string
  /** Header fields of the request. @default {} */
  headers?: Readonly<Record<string, string | readonly string[]>>
}

const CHECKS = {
  method: text,
  url: expects<string>('an absolute http URL, or a path that begins with /', (value) =>
    typeof value === 'string' && partsOf(value).target.startsWith('/')),
  headers: expects<Readonly<Record<string, string | readonly string[]>>>('an object of header fields', isRecord)
}

const BECAUSE: Readonly<Record<Exclude<Explained['reason'], BypassReason> | 'no-store', string>> = {
  fresh: 'the stored response is fresh',
  'while-revalidate': 'the stored response is stale, and is served while a refresh runs',
  'max-stale': 'the stored response is stale, and the request accepts that',
  uncached: 'no cached route handles this request',
  absent: 'nothing is stored for this request',
  variant: 'the stored responses are for other values of the fields that Vary names, or for a request that hooks rewrote (no hook ran for this one)',
  invalidated: 'the stored response has a tag that was invalidated',
  untagged: 'the stored response lacks a tag that the route lists now',
  stale: 'the stored response is stale, so the handler validates it or makes a new one',
  request: "the request's Cache-Control does not accept the stored response",
  'only-if-cached': 'no stored response can be served, and the request forbids asking the handler: 504',
  damaged: 'the stored entry is damaged, or was not written by this cache',
  head: 'nothing is stored, and a HEAD request never creates an entry',
  unavailable: 'the backend does not respond',
  'no-store': "the request's Cache-Control says no-store"
}

/** Explains a request. Rejects with CACHE_ERR_OPTION if `options` doesn't describe a request. */
export async function explain (services: Services, lookup: RouteLookup, options: ExplainOptions): Promise<Explanation> {
  const { method = 'GET', url, headers = {} } = checkOptions<ExplainOptions>('explain', options, CHECKS)
  if (url === undefined) throw new CACHE_ERR_OPTION('explain.url', 'given', 'nothing')
  const request = requestOf(method.toUpperCase(), url, headers)
  const located = lookup.find(request.method, pathOf(request.raw.url as string), {
    host: request.host, version: joined(request.headers['accept-version']) || undefined
  })
  Object.assign(request, { params: located?.params ?? {} })
  return new Explanation(`${request.method} ${request.protocol}://${request.host}${request.raw.url}`,
    await explained(services, located, request))
}

async function explained (services: Services, located: Located | undefined, request: ArrivedRequest): Promise<Explained> {
  const route = located?.cached
  if (route === undefined) {
    if (located === undefined) return { decision: 'bypass', reason: 'uncached', because: BECAUSE.uncached }
    const because = BECAUSE.uncached + (located.invalidates ? invalidation(request.method, undefined) : '')
    return { decision: 'bypass', reason: 'uncached', because, route: located.name }
  }
  const keyed = route.keyed(request)
  const directives = route.directives(request)
  const bypass = 'bypass' in keyed ? keyed.bypass : directives?.noStore === true ? 'no-store' : undefined
  if (bypass !== undefined || 'bypass' in keyed) {
    const explained = bypassed(services, route, bypass as BypassReason, 'fault' in keyed ? keyed.fault : undefined)
    return { ...explained, because: explained.because + invalidation(request.method, route.policy) }
  }
  const found = await services.store.find(keyed.key, request, route.policy, services.guard.deadline())
  const decision = decided(services, request, found, directives)
  return {
    ...decision,
    route: route.name,
    key: keyOf(keyed.key, route.policy, request),
    ...(found.variants !== undefined && {
      variants: { count: found.variants.head.ids.length, fields: valuesOf(found.variants.head.names, request) }
    }),
    ...(decision.decision === 'miss' && decision.reason !== 'only-if-cached' && {
      concurrency: route.concurrency(request, keyed.key, found)
    }),
    ...(found.entry !== undefined && { entry: await entryOf(services, found.entry, found.at) })
  }
}

function bypassed ({ observer: { status } }: Services, route: CachedRoute, reason: BypassReason, fault: unknown): Explained {
  const why = reason === 'key'
    ? `the key function returned no usable string${fault instanceof Error ? ` (${fault.message})` : ''}; no hook ran, so nothing that hooks add to a request was there`
    : reason === 'no-store' ? BECAUSE['no-store'] : `the request bypasses the cache: ${reason}`
  return { decision: 'bypass', reason, because: why, cacheStatus: status.of({ name: 'bypass', reason }), route: route.name }
}

/** Says what a response to an unsafe method invalidates; '' for a safe method. `policy`: undefined if the route does not opt in. */
function invalidation (method: string, policy: RoutePolicy | undefined): string {
  if (isSafe(method)) return ''
  if (policy?.invalidates === false) return '; a 2xx or 3xx response invalidates this URL (with invalidates: false, no other)'
  const listed = policy !== undefined && listsTargets(policy) ? ', and what the route\'s invalidates names' : ''
  return `; a 2xx or 3xx response invalidates this URL and those in its Location and Content-Location${listed} (invalidates: false: this URL alone)`
}

/** Describes the decision that follows the lookup. `decide` makes that decision, as it does for real requests. */
function decided (
  { observer: { status } }: Services, { method }: FastifyRequest, found: Found, directives: RequestDirectives | undefined
): Explained {
  const decision = decide(found, method, directives, false)
  switch (decision.name) {
    case 'serve-fresh': return {
      decision: 'hit',
      reason: 'fresh',
      because: BECAUSE.fresh,
      cacheStatus: status.of({ name: 'hit', ttlMs: decision.entry.head.freshUntil - decision.at })
    }
    case 'serve-while-revalidate': case 'serve-max-stale': {
      const reason = decision.name === 'serve-max-stale' ? 'max-stale' : 'while-revalidate'
      return {
        decision: 'stale',
        reason,
        because: BECAUSE[reason],
        cacheStatus: status.of({ name: 'stale', ttlMs: decision.entry.head.freshUntil - decision.at })
      }
    }
    case 'unsatisfiable': return missed('only-if-cached', status.of({ name: 'unsatisfiable' }))
    case 'forward-head': return missed('head', forwarded('miss', 'head'))
    case 'forward-miss': return missed('missing' in found ? found.missing : 'absent',
      forwarded('miss', found.state === 'unavailable' ? 'unavailable' : undefined))
    case 'forward-stale': case 'forward-request': {
      const reason = decision.name === 'forward-stale' ? 'stale' : 'request'
      // A HEAD request stores something only if the handler validates the stored response. For that, the handler must have set a validator.
      const mayStore = method !== 'HEAD' || canBeValidated(handlersValidators(decision.entry.head, decision.at))
      return missed(reason, forwarded(reason, mayStore ? undefined : 'head'))
    }
  }

  function forwarded (forward: ForwardReason, detail: RefusalReason | undefined): string {
    return status.of({ name: 'forwarded', forward, isStored: false, detail, status: undefined })
  }
}

const missed = (reason: MissReason, cacheStatus: string): Explained => ({ decision: 'miss', reason, because: BECAUSE[reason], cacheStatus })

function keyOf (key: string, policy: RoutePolicy, request: ArrivedRequest): ExplainedKey {
  const { key: options } = policy
  const target = request.raw.url as string
  if (typeof options === 'function') return { text: key, parts: { function: String(options(request)) } }
  const mark = target.indexOf('?')
  const query = mark === -1 ? '' : target.slice(mark + 1)
  return {
    text: key,
    parts: {
      path: pathOf(target),
      ...(options.query === true ? { query } : options.query !== false && { query: `of ${options.query.join(', ')}` }),
      ...(options.host && { origin: `${request.protocol}://${request.host}` }),
      ...Object.fromEntries(Object.entries(valuesOf(options.headers, request)).map(([name, value]) => [`field ${name}`, value])),
      ...(options.cookies.length > 0 && { cookies: options.cookies.join(', ') }),
      ...(options.by !== undefined && { by: options.by(request) })
    }
  }
}

function valuesOf (names: readonly string[], request: ArrivedRequest): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, joined(fieldOf(request, name)) || '(none)']))
}

async function entryOf (services: Services, { head, body }: Entry<ResponseHead>, at: number): Promise<ExplainedEntry> {
  const read = await services.guard.get(head.key, services.guard.deadline())
  const { storedAt, freshUntil, staleUntil, staleOnErrorUntil, tags = [] } = head
  return {
    status: head.status,
    bytes: body.byteLength,
    ageSeconds: ageSeconds(head, at),
    tags: tags.filter((_, index) => index % 2 === 0),
    timeline: {
      stored: instant(storedAt),
      freshUntil: instant(freshUntil),
      ...(staleUntil !== undefined && { staleUntil: instant(staleUntil) }),
      ...(staleOnErrorUntil !== undefined && { staleOnErrorUntil: instant(staleOnErrorUntil) }),
      ...(read !== undefined && read !== UNAVAILABLE && { gone: instant(read.expiresAt) })
    }
  }
}

function instant (at: number): Instant {
  return { at, text: new Date(at).toISOString() }
}

/** Creates a request with everything that the rules read. Anything that only hooks or a connection could add is missing. */
function requestOf (method: string, url: string, given: Readonly<Record<string, string | readonly string[]>>): ArrivedRequest {
  const { origin, target } = partsOf(url)
  const headers = Object.fromEntries(Object.entries(given).map(([name, value]) => [name.toLowerCase(), value]))
  const [, scheme, authority] = /^(https?):\/\/(.*)$/i.exec(origin ?? '') ?? []
  const host = authority ?? (joined(headers.host) || 'localhost:80')
  headers.host = host
  const rawHeaders = Object.entries(headers).flatMap(([name, value]) => [value].flat().flatMap((line) => [name, line as string]))
  const mark = target.indexOf('?')
  const request = {
    method,
    headers,
    url: target,
    originalUrl: target,
    protocol: (scheme ?? 'http').toLowerCase(),
    host,
    hostname: host.replace(/:\d+$/, ''),
    query: parse(mark === -1 ? '' : target.slice(mark + 1)),
    body: undefined,
    ip: '127.0.0.1',
    raw: { method, url: target, headers, rawHeaders }
  }
  return Object.assign(request as unknown as FastifyRequest, { [kArrival]: new Arrival(request as unknown as FastifyRequest) })
}
