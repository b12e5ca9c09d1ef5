// Which cached routes a path belongs to, found with Fastify's own router.
import findMyWay from 'find-my-way'
import type { CachedRoute } from './route.js'

/** Whether `path` is one of this route's. A little too often yes is no harm: what isn't there can't be forgotten. */
export function matchesPattern ({ url }: CachedRoute, path: string): boolean {
  const router = findMyWay({ ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, caseSensitive: false, allowUnsafeRegex: true, maxParamLength: path.length })
  router.on('GET', url, () => {})
  // `useSemicolonDelimiter` makes `/a;b` a path `/a`.
  return router.find('GET', path) !== null || router.find('GET', path.split(';', 1)[0] as string) !== null
}
