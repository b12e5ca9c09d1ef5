// The routes of the fuzzed application: what each of them is asked by, and what tells its responses apart.
import type { FastifyRequest } from 'fastify'
import type { RouteCacheOptions } from '../../plugin.js'
import type { Asked } from './plan.js'

export interface FuzzRoute {
  readonly name: string
  readonly pattern: string
  readonly method: 'GET' | 'POST'
  /** The request target, as the client sends it. */
  readonly target: (asked: Asked) => string
  readonly options: RouteCacheOptions
  /** Fields that the handler sets on each response. */
  readonly fields: Record<string, string>
  /** What tells two responses apart, as the client sent it. The host is added where it counts. */
  readonly counts: (asked: Asked) => readonly unknown[]
  readonly hostCounts: boolean
  /** Which credentials do not make a request bypass the cache. */
  readonly shares: ReadonlyArray<'auth' | 'sid'>
  /** Whether the key is made of target and host alone, so that a write request to the URL invalidates it. */
  readonly isPlain: boolean
}

const query = (asked: Asked): string => asked.query ?? ''
const target = (pattern: string) => (asked: Asked): string =>
  pattern.replace(':who', asked.who ?? 'en').replace(':id', String(asked.id)) + query(asked)
const byId = (request: FastifyRequest): string[] => ['all', `id-${String((request.params as { id: string }).id)}`]

/** A route whose key is target and host; `more` says in what another one differs. */
function route (name: string, pattern: string, more: Partial<FuzzRoute> = {}): FuzzRoute {
  const targetOf = more.target ?? target(pattern)
  return {
    name,
    pattern,
    method: 'GET',
    target: targetOf,
    options: { tags: byId },
    fields: {},
    counts: (asked) => [targetOf(asked)],
    hostCounts: true,
    shares: [],
    isPlain: true,
    ...more
  }
}

const BOTH = ['auth', 'sid'] as const

export const ROUTES: readonly FuzzRoute[] = [
  route('doc', '/doc/:id'),
  // A hook strips the first segments off the target, so that what is left is the target of another route.
  route('tenant', '/t/:who/doc/:id'),
  route('page', '/page/:id', { options: { tags: ['all'] } }),
  route('localised', '/:who/page/:id'),
  route('varied', '/varied/:id', {
    options: { tags: ['all'] }, fields: { vary: 'accept-language' }, counts: (asked) => [target('/varied/:id')(asked), asked.language]
  }),
  route('mine', '/mine/:id', {
    options: { tags: byId, key: { headers: ['authorization'] } },
    counts: (asked) => [target('/mine/:id')(asked), asked.auth],
    shares: ['auth'],
    isPlain: false
  }),
  route('session', '/session/:id', {
    options: { tags: byId, key: { cookies: ['sid'] } },
    counts: (asked) => [target('/session/:id')(asked), asked.sid],
    shares: ['sid'],
    isPlain: false
  }),
  route('token', '/token/:id', {
    options: { tags: byId, credentials: 'ignore' },
    fields: { vary: 'authorization', 'cache-control': 'public' },
    counts: (asked) => [target('/token/:id')(asked), asked.auth],
    shares: BOTH
  }),
  route('open', '/open/:id', { options: { tags: byId, credentials: 'ignore' }, fields: { 'cache-control': 'public' }, shares: BOTH }),
  route('list', '/list/:id', {
    options: { tags: byId, key: { query: ['page'] } }, counts: (asked) => [asked.id, /page=\d/.exec(query(asked))?.[0]], isPlain: false
  }),
  route('shared', '/shared/:id', { options: { tags: byId, key: { host: false } }, hostCounts: false, isPlain: false }),
  route('search', '/search/:id', {
    method: 'POST',
    options: { tags: byId, methods: ['POST'] },
    counts: (asked) => [target('/search/:id')(asked), asked.criteria],
    isPlain: false
  })
]

export const routeOf = (asked: Asked): FuzzRoute => ROUTES.find(({ name }) => name === asked.route) as FuzzRoute

/** The host that counts: a proxy's word goes first where it is trusted. */
export const hostOf = (asked: Asked, trustsProxy: boolean): string => (trustsProxy ? asked.forwarded : undefined) ?? asked.host

/** What two requests must have in common to be given the same response. */
export function identityOf (asked: Asked, trustsProxy: boolean): string {
  const route = routeOf(asked)
  return JSON.stringify([route.name, ...route.counts(asked), route.hostCounts ? hostOf(asked, trustsProxy) : '*'])
}

/** Whether the request carries credentials that its route does not speak of: nobody else may be given its response, nor it another's. */
export function isPersonal (asked: Asked): boolean {
  const { shares } = routeOf(asked)
  return (asked.auth !== undefined && !shares.includes('auth')) || (asked.sid !== undefined && !shares.includes('sid'))
}
