// Which cached routes a path belongs to, found with Fastify's own router.
import findMyWay from 'find-my-way'
import type { Routing } from '../fastify-internals.js'
import type { CachedRoute } from '../route.js'

interface Pattern {
  /** What its paths begin with, in lower case; only for paths that are written plainly. */
  readonly prefix: string
  readonly matches: (path: string) => boolean
  readonly routes: CachedRoute[]
}

/**
 * Routes by the paths that are theirs. A path that is taken for a route's and is not costs the deletion of an absent key; one
 * that is not taken for it would leave a stale response.
 */
export class Patterns {
  readonly #routes: readonly CachedRoute[]
  readonly #routing: Routing
  #known = 0
  readonly #patterns = new Map<string, Pattern>()

  /** `routes` may grow. */
  constructor (routes: readonly CachedRoute[], routing: Routing) {
    this.#routes = routes
    this.#routing = routing
  }

  /** The routes, of whatever method, that may respond to this path. */
  routesOf (path: string): CachedRoute[] {
    for (; this.#known < this.#routes.length; this.#known++) this.#add(this.#routes[this.#known] as CachedRoute)
    const plain = NOT_PLAIN.test(path) ? undefined : path.toLowerCase()
    const found: CachedRoute[] = []
    for (const { prefix, matches, routes } of this.#patterns.values()) {
      if ((plain === undefined || plain.startsWith(prefix)) && matches(path)) found.push(...routes)
    }
    return found
  }

  #add (route: CachedRoute): void {
    const there = this.#patterns.get(route.url)
    if (there !== undefined) there.routes.push(route)
    else this.#patterns.set(route.url, { ...matcher(route.url, this.#routing), routes: [route] })
  }
}

/** Encoded, with slashes that may be ignored, or not ASCII, of which the case is a matter of its own. */
const NOT_PLAIN = /[%\u0080-\uffff]|\/\//

/**
 * A router for the pattern, as the application's own: one for all patterns would name but one of several that a path fits. So no
 * regular expression runs on more than that one lets it; what is too long for it counts as fitting.
 */
function matcher (pattern: string, routing: Routing): Pick<Pattern, 'prefix' | 'matches'> {
  const router = findMyWay({ ...routing })
  router.on('GET', pattern, () => {})
  const prefix = pattern.includes('//') ? '' : /^[^:*(%\u0080-\uffff]*/.exec(pattern)![0].replace(/\/$/, '').toLowerCase()
  const isTooLong = pattern.includes(':') ? (path: string) => path.split('/').some((segment) => segment.length > routing.maxParamLength) : () => false
  // A route that responds with a slash at the end and without (`prefixTrailingSlash`) is known by one of the two.
  return { prefix, matches: (path) => isTooLong(path) || router.find('GET', path) !== null || router.find('GET', findMyWay.trimLastSlash(path)) !== null }
}
