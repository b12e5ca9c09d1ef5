// A cached route: its key prefix, its names in the fence, and its counters.
import { distinctPrefix, targetPart } from './request/key.js'
import type { RoutePolicy } from './options/route-options.js'
import { pathOf } from './request/query.js'
import { emptyStats, type RouteStats } from './observe/observer.js'

export interface RouteDescription {
  readonly method: string
  /** The route's pattern, including its prefix. */
  readonly url: string
  readonly constraints: object | undefined
  readonly policy: RoutePolicy
}

export class KnownRoute {
  readonly method: string
  readonly url: string
  readonly policy: RoutePolicy
  /** The prefix of all keys of the route. */
  readonly prefix: string
  readonly stats: RouteStats = emptyStats()
  /** Whether a handler of the route has chosen tags with `reply.cache()`. */
  choosesTags = false

  /** `others` are the routes whose prefixes must differ from this route's prefix. */
  constructor ({ method, url, constraints, policy }: RouteDescription, namespace: string, others: readonly KnownRoute[]) {
    this.method = method
    this.url = url
    this.policy = policy
    this.prefix = distinctPrefix(namespace, { method, url, constraints }, others)
  }

  /** The name in logs and statistics, such as `GET /products/:id`. */
  get name (): string {
    return `${this.method} ${this.url}`
  }

  /** Returns the names under which the fence records invalidations of this route's response for `target`, in addition to its key. */
  fenceNames (target: string): string[] {
    return [routeName(this.prefix), this.targetPrefix(target)]
  }

  /** Returns the prefix of all the route's keys for one request target. */
  targetPrefix (target: string): string {
    const { key } = this.policy
    return this.prefix + targetPart(typeof key === 'function' || key.query === true ? target : pathOf(target))
  }
}

/** Returns the name under which the fence records invalidations of a whole route. */
export function routeName (prefix: string): string {
  return `r ${prefix}`
}

/** Returns the name under which the fence records invalidations of a tag. */
export function tagName (tag: string): string {
  return `t ${tag}`
}
