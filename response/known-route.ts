// A cached route as all know it: its prefix of keys, what the fence calls its responses, its counters.
import { distinctPrefix, targetPart } from './request/key.js'
import type { RoutePolicy } from './options/route-options.js'
import { pathOf } from './request/query.js'
import { emptyStats, type RouteStats } from './observe/observer.js'

export interface RouteDescription {
  readonly method: string
  /** The route's pattern with its prefix. */
  readonly url: string
  readonly constraints: object | undefined
  readonly policy: RoutePolicy
}

export class KnownRoute {
  readonly method: string
  readonly url: string
  readonly policy: RoutePolicy
  /** What all keys of the route begin with. */
  readonly prefix: string
  readonly stats: RouteStats = emptyStats()

  /** `others`: the routes that its prefix must be told apart from. */
  constructor ({ method, url, constraints, policy }: RouteDescription, namespace: string, others: readonly KnownRoute[]) {
    this.method = method
    this.url = url
    this.policy = policy
    this.prefix = distinctPrefix(namespace, { method, url, constraints }, others)
  }

  /** As people write it: `GET /products/:id`. */
  get name (): string {
    return `${this.method} ${this.url}`
  }

  /** The names under which the fence knows what this route responds with to a request for `target`, beside the key. */
  fenceNames (target: string): string[] {
    return [routeName(this.prefix), this.targetPrefix(target)]
  }

  /** What all keys of one target begin with. */
  targetPrefix (target: string): string {
    const { key } = this.policy
    return this.prefix + targetPart(typeof key === 'function' || key.query === true ? target : pathOf(target))
  }
}

/** Under which the fence knows all responses of a route. */
export function routeName (prefix: string): string {
  return `r ${prefix}`
}

/** Under which the fence knows a tag. */
export function tagName (tag: string): string {
  return `t ${tag}`
}
