// Which route a request would come to: a router of its own with all routes below the registration, as Fastify's is not to be asked.
import type { RouteOptions } from 'fastify'
import findMyWay, { type HTTPMethod } from 'find-my-way'
import type { CachedRoute } from '../route.js'

/** A route that was found: cached or not, with its path's parameters. */
export interface Located {
  readonly name: string
  readonly cached: CachedRoute | undefined
  readonly params: Readonly<Record<string, string | undefined>>
}

/** Options of Fastify that say how paths are matched. */
const OPTIONS = ['caseSensitive', 'ignoreTrailingSlash', 'ignoreDuplicateSlashes', 'allowUnsafeRegex', 'maxParamLength', 'useSemicolonDelimiter'] as const

type Options = Partial<Record<typeof OPTIONS[number], unknown>>

export class Lookup {
  readonly #routes: Array<{ readonly options: RouteOptions, readonly cached: ReadonlyMap<string, CachedRoute> | undefined }> = []
  readonly #options: () => Options & { readonly routerOptions?: Options }
  #router: ReturnType<typeof findMyWay> | undefined

  /** `options`: what the application was made with (`fastify.initialConfig`). */
  constructor (options: () => object) {
    this.#options = options
  }

  add (options: RouteOptions, cached: ReadonlyMap<string, CachedRoute> | undefined): void {
    this.#routes.push({ options: { ...options }, cached })
    this.#router = undefined
  }

  /** The route for this method and path; undefined where none below the registration has it. */
  find (method: string, path: string, { host, version }: { host: string, version: string | undefined }): Located | undefined {
    this.#router ??= this.#made()
    const found = this.#router.find(method as HTTPMethod, path, { host, version } as never)
    return found === null ? undefined : { ...(found.store as Pick<Located, 'name' | 'cached'>), params: found.params }
  }

  #made (): ReturnType<typeof findMyWay> {
    const given = this.#options()
    const all: Options = { ...given, ...given.routerOptions }
    const router = findMyWay(Object.fromEntries(OPTIONS.filter((name) => all[name] !== undefined).map((name) => [name, all[name]])))
    for (const { options: { method, url, constraints }, cached } of this.#routes) {
      for (const one of [method].flat()) {
        const store = { name: `${one} ${url}`, cached: cached?.get(one) }
        try {
          router.on(one as HTTPMethod, url, constraints === undefined ? {} : { constraints: constraints as never }, () => {}, store)
        } catch {
          // Constraints of the application's own making, which only its router knows.
        }
      }
    }
    return router
  }
}
