// Which cached routes a path belongs to, found with Fastify's own router.
import findMyWay from 'find-my-way'
import type { CachedRoute } from '../route.js'

interface Pattern {
  /** What its paths begin with, in lower case; only for paths that are written plainly. */
  readonly prefix: string
  readonly matches: (path: string) => boolean
  readonly routes: CachedRoute[]
}

/** Routes by the paths that are theirs. A little too often yes is no harm: what isn't there can't be forgotten. */
export class Patterns {
  readonly #routes: readonly CachedRoute[]
  #known = 0
  readonly #patterns = new Map<string, Pattern>()

  /** `routes` may grow. */
  constructor (routes: readonly CachedRoute[]) {
    this.#routes = routes
  }

  /** The routes, of whatever method, that may answer this path. */
  routesOf (path: string): CachedRoute[] {
    for (; this.#known < this.#routes.length; this.#known++) this.#add(this.#routes[this.#known] as CachedRoute)
    const plain = path.includes('%') || path.includes('//') ? undefined : path.toLowerCase()
    // `useSemicolonDelimiter` makes `/a;b` a path `/a`.
    const paths = path.includes(';') ? [path, path.split(';', 1)[0] as string] : [path]
    const found: CachedRoute[] = []
    for (const { prefix, matches, routes } of this.#patterns.values()) {
      if ((plain === undefined || plain.startsWith(prefix)) && paths.some(matches)) found.push(...routes)
    }
    return found
  }

  #add (route: CachedRoute): void {
    const there = this.#patterns.get(route.url)
    if (there !== undefined) there.routes.push(route)
    else this.#patterns.set(route.url, { ...matcher(route.url), routes: [route] })
  }
}

/**
 * Routers for each pattern: one for all would tell but one of several that a path fits. Those that ignore a slash at the
 * end take it from a parameter that is empty too, and applications differ in what they ignore: there is one of each kind.
 */
function matcher (pattern: string): Pick<Pattern, 'prefix' | 'matches'> {
  const ignored = [{}, { ignoreTrailingSlash: true }, { ignoreDuplicateSlashes: true }, { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true }]
  const routers = ignored.map((slashes) => {
    const router = findMyWay({ ...slashes, caseSensitive: false, allowUnsafeRegex: true, maxParamLength: Number.MAX_SAFE_INTEGER })
    router.on('GET', pattern, () => {})
    return router
  })
  const prefix = pattern.includes('//') ? '' : /^[^:*(%]*/.exec(pattern)![0].replace(/\/$/, '').toLowerCase()
  return { prefix, matches: (path) => routers.some((router) => router.find('GET', path) !== null) }
}
