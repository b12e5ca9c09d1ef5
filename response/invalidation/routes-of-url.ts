// Finds the cached routes for a path by the segments of their patterns, and with find-my-way if a pattern has regular expressions.
import findMyWay from 'find-my-way'
import type { Routing } from '../fastify/fastify-internals.js'
import { allows, alternatives, shapeOf, type Shape } from './path-shape.js'

/** The only property of a route that is needed here: its pattern. */
interface Routed { readonly url: string }

interface Pattern<R> {
  readonly shapes: readonly Shape[]
  /** A router for this pattern. It is present only if a regular expression must be run to match a path. */
  readonly router: ReturnType<typeof findMyWay> | undefined
  readonly routes: R[]
}

/** One of the ways in which a router may read a path: with or without its trailing slash. */
interface Reading {
  readonly path: string
  /** The segments of the path, decoded, and in lower case if the router ignores case. */
  readonly segments: readonly string[]
}

/**
 * Finds routes by path. In case of doubt, a route is included, for example if a parameter is too long for the application's router. An
 * unnecessary route costs only the deletion of an absent key, but a missing route leaves an outdated response in the cache.
 */
export class RoutesOfUrl<R extends Routed> {
  readonly #routes: readonly R[]
  readonly #routing: Routing
  #known = 0
  readonly #patterns = new Map<string, Pattern<R>>()

  /** More routes may be added to the array `routes` later. */
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

  /**
   * Returns whether the pattern may match. If a parameter is too long for the router, returns true without running a regular expression.
   */
  #fits ({ shapes, router }: Pattern<R>, { path, segments }: Reading): boolean {
    const { maxParamLength } = this.#routing
    return shapes.some((shape) => allows(shape, segments) && (
      router === undefined ||
      shape.segments.some(({ isTested }, at) => isTested && segments[at]!.length > maxParamLength) ||
      router.find('GET', path) !== null))
  }

  /**
   * Returns the path as the router reads it and, if it ends with a slash, also without that slash. A route that serves both forms
   * (`prefixTrailingSlash`) is known here only by the form without the slash.
   */
  #readingsOf (target: string): Reading[] {
    const { useSemicolonDelimiter } = this.#routing
    const path = this.#deduplicated(useSemicolonDelimiter ? target.split(';', 1)[0] as string : target)
    return [...new Set([path, findMyWay.trimLastSlash(path)])].flatMap((path) => {
      const segments = this.#decoded(path)
      return segments === undefined ? [] : [{ path, segments }]
    })
  }

  /** Returns the decoded segments of a path, or undefined if they can't be decoded. No route serves a path that can't be decoded. */
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

  /** Converts text to lower case if the router ignores case. The letter sigma has two lower-case forms, which become one. */
  #folded (text: string): string {
    return this.#routing.caseSensitive ? text : text.toLowerCase().replaceAll('\u03c2', '\u03c3')
  }
}
