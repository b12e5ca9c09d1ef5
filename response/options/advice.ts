// What names that are not options probably mean: what other caches call an option, or where the option belongs.
import type { Advice } from '../../registry/intention.js'

const advised = (advice: string, ...names: readonly string[]): Advice =>
  Object.fromEntries(names.map((name) => [name.toLowerCase(), advice]))

export const ROUTE_ADVICE: Advice = {
  ...advised('did you mean ttl, in seconds or with a unit?', 'maxAge', 'max-age', 's-maxage', 'expires', 'expiresIn', 'duration', 'ttlMs',
    'timeToLive', 'cacheTime', 'seconds', 'time'),
  ...advised('did you mean staleWhileRevalidate?', 'stale', 'swr', 'staleTtl', 'grace'),
  ...advised('did you mean statuses?', 'status', 'statusCodes', 'codes', 'statusCode'),
  ...advised('did you mean methods, an array?', 'method', 'verbs'),
  ...advised('did you mean when?', 'condition', 'shouldCache', 'filter', 'if', 'unless', 'predicate'),
  ...advised('did you mean maxBodyBytes?', 'maxSize', 'maxBytes', 'maxBodySize', 'limit'),
  ...advised('did you mean tags, an array?', 'tag', 'surrogateKeys', 'cacheTags'),
  ...advised('did you mean key: { by: (request) => ... }?', 'private', 'user', 'perUser', 'privacy', 'generateKey', 'keyGenerator'),
  ...advised('a route whose cache is false or absent is not cached', 'enabled', 'disabled', 'cache'),
  ...advised('it belongs in key: { ... }', 'query', 'headers', 'cookies', 'host', 'body', 'by'),
  ...advised('it is an option of the registration: app.register(responseCache, { ... })',
    'backend', 'options', 'namespace', 'deadline', 'lockTimeout', 'cacheStatus')
}

const OF_BACKENDS = [
  'path', 'table', 'database', 'dir', 'fsync', 'maxBytes', 'maxEntries', 'maxSize', 'max', 'url', 'client', 'connection', 'baseUrl',
  'authToken', 'tiers', 'nearTtl', 'host', 'port', 'store', 'driver', 'keyv', 'storage', 'server', 'prefix'
]

/** `routeOptions`: the names of the options of routes. */
export function pluginAdvice (routeOptions: readonly string[]): Advice {
  return {
    ...ROUTE_ADVICE,
    ...advised('did you mean deadline?', 'timeout', 'maxWait'),
    ...advised('did you mean decorateAs?', 'name', 'decorator', 'as'),
    ...advised('did you mean backend?', 'type', 'adapter', 'provider', 'engine'),
    ...advised('options of routes go in defaults: { ... }', ...routeOptions),
    ...advised('options of a backend go in options: { ... }', ...OF_BACKENDS)
  }
}

export const TARGET_ADVICE: Advice = {
  ...advised('did you mean tags: [...]?', 'tag', 'surrogateKey'),
  ...advised('did you mean url?', 'urls', 'path', 'href'),
  ...advised('did you mean route?', 'pattern', 'routes'),
  ...advised('did you mean key?', 'keys', 'id')
}

export const VALUE_ADVICE: Advice = advised(
  'did you mean ttl, in seconds or with a unit?', 'maxAge', 'ttlMs', 'expires', 'expiresIn', 'duration', 'ex', 'px')
