// A plan: one application and a list of actions on it, as data that is made of a seed, printed, shortened and played again.
import { seeded } from '../support/seeded.js'
import { HOOKS, REWRITING, type HookName } from './hooks.js'
import { ROUTES, routeOf } from './routes.js'

/** What a handler makes of its response. */
export const PAYLOADS = ['text', 'buffer', 'json', 'stream', 'web', 'response', 'nothing'] as const
/** How a handler ends other than with its response. */
export const MOODS = [
  'throw', '503', '404', 'throw404', 'callNotFound', 'break', 'breakEarly', 'private', 'cookie', 'trailer', 'untagged', 'redirect', 'hijack'
] as const
export const DIRECTIVES = [
  'no-cache', 'no-store', 'max-age=0', 'max-age=5', 'only-if-cached', 'max-stale', 'max-stale=3', 'min-fresh=5'
] as const
const RANGES = ['bytes=0-9', 'bytes=20-', 'bytes=-7', 'bytes=900000-', 'bytes=0-4,10-14'] as const

/** One request. What is absent is not sent, and the handler does nothing out of the ordinary. */
export interface Asked {
  route: string
  id: number
  host: string
  method?: 'HEAD' | 'PUT' | 'DELETE'
  payload: typeof PAYLOADS[number]
  mood?: typeof MOODS[number]
  /** Where the handler stops until it is released. */
  held?: 'start' | 'middle'
  who?: string
  query?: string
  forwarded?: string
  auth?: string
  sid?: string
  language?: string
  criteria?: string
  directive?: typeof DIRECTIVES[number]
  /** Entity tags: the last one that anybody was given for this target, or one of nobody's. */
  ifNoneMatch?: 'last' | 'other'
  ifMatch?: 'last' | 'other'
  ifRange?: 'last' | 'other'
  range?: typeof RANGES[number]
  /** The method that a hook puts in place of this one. */
  override?: string
}

/** Where a client leaves: after a part of the bytes that it sends, or after so many that it was sent. */
export type Cut = { readonly sent: number } | { readonly received: number } | { readonly stream: number }

export type Action =
  /** Requests on one connection: one after another without waiting, or streams of one session. `pieces`: in how many writes. */
  | { readonly do: 'ask', readonly requests: readonly Asked[], readonly cut?: Cut, readonly pieces?: number }
  | { readonly do: 'pass', readonly ms: number }
  | { readonly do: 'change', readonly by: 'tag' | 'all' | 'path' | 'href' | 'route' | 'clear', readonly asked: Asked, readonly soft?: true }
  /** Lets the nth of the handlers that are held go on. */
  | { readonly do: 'release', readonly nth: number }

export interface Profile {
  readonly staleWhileRevalidate: number,
  readonly staleIfError: number,
  readonly keep: number,
  readonly etag: boolean,
  readonly lock: boolean
}

export interface Plan {
  readonly protocol: 'http1' | 'http2'
  readonly profile: Profile
  readonly hooks: readonly HookName[]
  /** Whether the hooks are added before the plugin is registered. */
  readonly first: boolean
  readonly stage: 'onRequest' | 'preHandler'
  readonly trustsProxy: boolean
  readonly actions: readonly Action[]
  /** Whether the application is closed while handlers are held. */
  readonly endsHeld: boolean
}

export const TTL_S = 10
const LONGEST_ACTIONS = 40

/** Draws of one plan. */
class Draw {
  readonly #random: () => number
  constructor (seed: number) { this.#random = seeded(seed) }
  below (count: number): number { return Math.floor(this.#random() * count) }
  happens (share: number): boolean { return this.#random() < share }
  of <T>(list: readonly T[]): T { return list[this.below(list.length)] as T }
  /** An object with one of `values` under `name`, or without it. */
  maybe<K extends string, T> (name: K, share: number, values: readonly T[]): { [k in K]?: T } {
    const [happens, value] = [this.happens(share), this.of(values)]
    return (happens ? { [name]: value } : {}) as { [k in K]?: T }
  }
}

/** What the requests of a plan are about. They are few, so that requests meet. */
type Subject = Pick<Asked, 'route' | 'id'>

/** Routes that a hook makes a difference to. */
const CONCERNED: { readonly [hook in HookName]?: ReadonlyArray<readonly string[]> } = {
  strip: [['doc', 'tenant'], ['page', 'localised']],
  token: [['mine'], ['token']],
  anonymous: [['mine'], ['token']],
  cookie: [['session']],
  language: [['varied']],
  body: [['search']],
  method: [['search']]
}

export function planOf (seed: number, protocol: Plan['protocol']): Plan {
  const draw = new Draw(seed)
  const rewriting = draw.happens(0.6) ? [draw.of(REWRITING), draw.of(REWRITING)] : []
  const hooks = [...new Set([...rewriting, ...HOOKS.filter((name) => !REWRITING.includes(name) && draw.happens(0.15))])]
  const routes = new Set([draw.of(ROUTES).name, draw.of(ROUTES).name, ...hooks.flatMap((name) => draw.of(CONCERNED[name] ?? [[]]))])
  const id = draw.of([1, 2, 3])
  const subjects = [...routes].map((route) => ({ route, id }))
  const trustsProxy = hooks.includes('forwarded') || draw.happens(0.2)
  const profile = {
    staleWhileRevalidate: draw.of([0, 5]),
    staleIfError: draw.of([0, 20]),
    keep: draw.of([0, 60]),
    etag: draw.happens(0.2),
    lock: draw.happens(0.8)
  }
  const base = { protocol, profile, hooks, first: draw.happens(0.5), stage: draw.of(['onRequest', 'preHandler'] as const), trustsProxy }
  const actions = Array.from({ length: LONGEST_ACTIONS }, () => actionOf(draw, subjects, trustsProxy))
  return { ...base, actions, endsHeld: draw.happens(0.3) }
}

const STEPS_MS = [1_000, 5_000, 9_999, 10_000, 10_001, 12_000, 12_000, 15_000, 25_000, 80_000] as const

function actionOf (draw: Draw, subjects: readonly Subject[], trustsProxy: boolean): Action {
  const kind = draw.below(100)
  if (kind < 18) return { do: 'pass', ms: draw.of(STEPS_MS) }
  if (kind < 26) return { do: 'release', nth: draw.below(4) }
  const asked = askedOf(draw, draw.of(subjects), trustsProxy)
  if (kind < 34) {
    const { mood, held, directive, ifNoneMatch, ifMatch, ifRange, range, method, auth, sid, language, ...about } = asked
    const by = draw.of(['tag', 'tag', 'all', 'path', 'href', 'route', 'clear'] as const)
    return { do: 'change', by, asked: about, ...(by === 'tag' || by === 'all' ? draw.maybe('soft', 0.5, [true as const]) : {}) }
  }
  const more = kind < 82 ? 0 : 1 + draw.below(3)
  const requests = [asked, ...Array.from({ length: more }, () => draw.happens(0.4) ? asked : askedOf(draw, draw.of(subjects), trustsProxy))]
  const cuts: Cut[] = [
    { sent: draw.below(100) / 100 }, { sent: 1 }, { received: draw.below(1_200) }, { received: draw.below(60_000) },
    { stream: draw.below(2_000) }
  ]
  return { do: 'ask', requests, ...draw.maybe('cut', 0.12, cuts), ...draw.maybe('pieces', 0.2, [2, 5]) }
}

function askedOf (draw: Draw, subject: Subject, trustsProxy: boolean): Asked {
  const base: Asked = { ...subject, host: draw.happens(0.15) ? 'b.example' : 'a.example', payload: draw.of(PAYLOADS) }
  const { method, pattern, shares } = routeOf(base)
  return {
    ...base,
    ...(method === 'GET'
      ? draw.maybe('method', 0.16, ['HEAD', 'HEAD', 'PUT', 'DELETE'] as const)
      : { criteria: draw.of(['x', 'y']), ...draw.maybe('override', 0.15, ['PUT']) }),
    ...(pattern.includes(':who') ? { who: draw.of(['en', 'de']) } : {}),
    ...draw.maybe('query', subject.route === 'list' ? 0.8 : 0.1, ['?page=1', '?page=2', '?page=1&x=1']),
    ...(trustsProxy ? draw.maybe('forwarded', 0.4, ['c.example', 'd.example']) : {}),
    ...draw.maybe('auth', shares.includes('auth') ? 0.7 : 0.03, ['alice', 'bob']),
    ...draw.maybe('sid', shares.includes('sid') ? 0.7 : 0.03, ['s1', 's2']),
    ...draw.maybe('language', subject.route === 'varied' ? 0.7 : 0.1, ['en', 'de']),
    ...draw.maybe('mood', 0.2, MOODS),
    ...draw.maybe('held', 0.12, ['start', 'middle'] as const),
    ...draw.maybe('directive', 0.12, DIRECTIVES),
    ...draw.maybe('ifNoneMatch', 0.25, ['last', 'last', 'last', 'other'] as const),
    ...draw.maybe('ifMatch', 0.05, ['last', 'other'] as const),
    ...draw.maybe('range', 0.12, RANGES),
    ...draw.maybe('ifRange', 0.04, ['last', 'other'] as const)
  }
}

/** The plan without what has one of these names: hooks, actions, moods, payloads, fields of requests or their values. */
export function reduced (plan: Plan, without: ReadonlySet<string>): Plan {
  const kept = (asked: Asked): Asked => ({
    ...Object.fromEntries(Object.entries(asked).filter(([name, value]) =>
      ALWAYS.includes(name) || !(without.has(name) || without.has(String(value))))) as unknown as Asked,
    payload: without.has(asked.payload) ? 'text' : asked.payload
  })
  const actions = plan.actions.filter((action) => !without.has(action.do) && !(action.do === 'change' && without.has(action.by)))
    .map((action): Action => {
      if (action.do !== 'ask') return action
      const { cut, requests, ...ask } = action
      return { ...ask, requests: requests.map(kept), ...(cut !== undefined && !without.has('cut') ? { cut } : {}) }
    })
  return { ...plan, hooks: plan.hooks.filter((name) => !without.has(name)), actions }
}

const ALWAYS = ['route', 'id', 'host', 'payload', 'who', 'criteria']
