// Finds the cached routes for a path by the segments of their patterns, and with find-my-way if a pattern has regular expressions.
import findMyWay from 'find-my-way'
import type { Routing } from '../fastify/fastify-internals.js'
import { allows, alternatives, shapeOf, type Shape } from './path-shape.js'

/** The part of a route that is used here: its pattern. */
interface Routed { readonly url: string }

interface Pattern<R> {
  readonly shapes: readonly Shape[]
  /** Present if matching a path requires running a regular expression. */
  readonly router: ReturnType<typeof findMyWay> | undefined
  readonly routes: R[]
}

/** A path, in one of the ways in which a router may read it. */
interface Reading {
  readonly path: string
  /** Decoded, and in lower case if the router ignores case. */
  readonly segments: readonly string[]
}

/**
 * Finds routes by path. If in doubt, a route is included, for example if a parameter is too long for the application's router. A route too
 * many only costs the deletion of an absent key, but a missing route leaves an outdated response in the cache.
 */
export class RoutesOfUrl<R extends Routed> {
  readonly #routes: readonly R[]
  readonly #routing: Routing
  #known = 0
  readonly #patterns = new Map<string, Pattern<R>>()

  /** Routes may be added to `routes` later. */
  constructor (routes: readonly R[], routing: Routing) {
    this.#routes = routes
    this.#routing = routing
  }

  /** Returns the routes, of any method, that may serve this path. */
  routesOf (path: string): R[] {
    for (; this.#known < this.#routes.length; this.#known++) this.#add(this.#routes[this.#known] as R)
    const readings = this.#readingsOf(path)
    const found = [...this.#patterns.values()].filter((pattern) => readings.some((reading) => this.#fits(pattern, reading)))
    return found.flatMap(({ routes }) => routes)
  }

  #add (route: R): void {
    const there = this.#patterns.get(route.url)
    if (there !== undefined) {
      there.routes.push(route)
      return
    }
    const { ignoreTrailingSlash } = this.#routing
    const urls = alternatives(route.url).map((url) => {
      const deduplicated = this.#deduplicated(url)
      return ignoreTrailingSlash ? findMyWay.trimLastSlash(deduplicated) : deduplicated
    })
    const shapes = urls.map((url) => shapeOf(this.#folded(url)))
    const isTested = shapes.some(({ segments }) => segments.some((segment) => segment.isTested))
    this.#patterns.set(route.url, { shapes, router: isTested ? this.#routerOf(urls) : undefined, routes: [route] })
  }

  /**
   * Returns a router for one pattern. A single router for all patterns would find only one of several patterns that match. The router does
   * not limit the length of parameters, because #fits checks it.
   */
  #routerOf (urls: readonly string[]): ReturnType<typeof findMyWay> {
    const { caseSensitive } = this.#routing
    const router = findMyWay({ caseSensitive, allowUnsafeRegex: true, maxParamLength: Number.MAX_SAFE_INTEGER })
    for (const url of urls) router.on('GET', url, () => {})
    return router
  }

  /** Whether the pattern may match. Regular expressions are not run on more characters than the application's router allows. */
  #fits ({ shapes, router }: Pattern<R>, { path, segments }: Reading): boolean {
    const { maxParamLength } = this.#routing
    return shapes.some((shape) => allows(shape, segments) && (
      router === undefined ||
      shape.segments.some(({ isTested }, at) => isTested && segments[at]!.length > maxParamLength) ||
      router.find('GET', path) !== null))
  }

  /**
   * Returns the path as the router reads it, and also without a trailing slash, because a route that serves both (`prefixTrailingSlash`) is
   * registered here with only one of them.
   */
  #readingsOf (target: string): Reading[] {
    const { useSemicolonDelimiter } = this.#routing
    const path = this.#deduplicated(useSemicolonDelimiter ? target.split(';', 1)[0] as string : target)
    return [...new Set([path, findMyWay.trimLastSlash(path)])].flatMap((path) => {
      const segments = this.#decoded(path)
      return segments === undefined ? [] : [{ path, segments }]
    })
  }

  /** Returns the decoded segments, or undefined if they can't be decoded. No route serves such a path. */
  #decoded (path: string): string[] | undefined {
    try {
      return path.split('/').map((segment) => this.#folded(segment.includes('%') ? decodeURIComponent(segment) : segment))
    } catch {
      return undefined
    }
  }

  #deduplicated (path: string): string {
    return this.#routing.ignoreDuplicateSlashes ? findMyWay.removeDuplicateSlashes(path) : path
  }

  /** Converts to lower case if the router ignores case. The two lower-case forms of the letter sigma become one. */
  #folded (text: string): string {
    return this.#routing.caseSensitive ? text : text.toLowerCase().replaceAll('\u03c2', '\u03c3')
  }
}
