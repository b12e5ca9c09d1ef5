// Which cached routes a path belongs to: by their patterns' segments, and by a router of Fastify's where regular expressions have a say.
import findMyWay from 'find-my-way'
import type { Routing } from '../fastify/fastify-internals.js'
import { allows, alternatives, shapeOf, type Shape } from './path-shape.js'

/** A route, as far as its pattern goes. */
interface Routed { readonly url: string }

interface Pattern<R> {
  readonly shapes: readonly Shape[]
  /** Present where a regular expression has a say. */
  readonly router: ReturnType<typeof findMyWay> | undefined
  readonly routes: R[]
}

/** A path as a router may read it. */
interface Reading {
  readonly path: string
  /** Decoded, and in one case where case does not count. */
  readonly segments: readonly string[]
}

/**
 * Routes by the paths that are theirs. A path that is taken for a route's and is not costs the deletion of an absent key; one
 * that is not taken for it leaves a stale response. So what is too long for the application's router is taken for the route's.
 */
export class RoutesOfUrl<R extends Routed> {
  readonly #routes: readonly R[]
  readonly #routing: Routing
  #known = 0
  readonly #patterns = new Map<string, Pattern<R>>()

  /** `routes` may grow. */
  constructor (routes: readonly R[], routing: Routing) {
    this.#routes = routes
    this.#routing = routing
  }

  /** The routes, of whatever method, that may respond to this path. */
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

  /** A router for one pattern: one for all would name but one of several that a path fits. #fits has the limit. */
  #routerOf (urls: readonly string[]): ReturnType<typeof findMyWay> {
    const { caseSensitive } = this.#routing
    const router = findMyWay({ caseSensitive, allowUnsafeRegex: true, maxParamLength: Number.MAX_SAFE_INTEGER })
    for (const url of urls) router.on('GET', url, () => {})
    return router
  }

  /** No regular expression runs on more characters than the application's own router lets a parameter have. */
  #fits ({ shapes, router }: Pattern<R>, { path, segments }: Reading): boolean {
    const { maxParamLength } = this.#routing
    return shapes.some((shape) => allows(shape, segments) && (
      router === undefined ||
      shape.segments.some(({ isTested }, at) => isTested && segments[at]!.length > maxParamLength) ||
      router.find('GET', path) !== null))
  }

  /**
   * The path as the router reads it, and without a slash at the end: a route that responds to both (`prefixTrailingSlash`) is
   * known by one of them.
   */
  #readingsOf (target: string): Reading[] {
    const { useSemicolonDelimiter } = this.#routing
    const path = this.#deduplicated(useSemicolonDelimiter ? target.split(';', 1)[0] as string : target)
    return [...new Set([path, findMyWay.trimLastSlash(path)])].flatMap((path) => {
      const segments = this.#decoded(path)
      return segments === undefined ? [] : [{ path, segments }]
    })
  }

  /** Undefined where it can't be decoded: no route responds to that. */
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

  /** A sigma at the end of a word has a lower case of its own, which depends on what follows. */
  #folded (text: string): string {
    return this.#routing.caseSensitive ? text : text.toLowerCase().replaceAll('\u03c2', '\u03c3')
  }
}
