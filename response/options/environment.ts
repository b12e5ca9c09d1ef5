// Reads plugin options from environment variables. Errors name the variable, and never show a value that may be secret.
import { isDuration, kindOf, parseDuration, show, type Duration } from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import type { Registry } from '../../registry/registry.js'
import type { ResponseCacheOptions } from './plugin-options.js'

/** Environment variables by name, as in `process.env`. An empty variable counts as absent. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The names of the environment variables that `fromEnvironment` reads. */
export const VARIABLES = [
  'CACHE_BACKEND', 'CACHE_DEFAULT_TTL', 'CACHE_NAMESPACE', 'MEMORY_CACHE_BYTES', 'SQLITE_PATH', 'CACHE_DIR', 'REDIS_URL', 'CACHE_HTTP_URL',
  'CACHE_HTTP_TOKEN'
] as const

type Variable = typeof VARIABLES[number]

// If one of these variables is set, it selects the backend for the far tier of `tiered`.
const FAR: ReadonlyArray<readonly [variable: Variable, backend: string]> = [
  ['REDIS_URL', 'redis'], ['CACHE_HTTP_URL', 'http'], ['SQLITE_PATH', 'sqlite'], ['CACHE_DIR', 'file']
]
const FAR_NAMES = FAR.map(([variable]) => variable).join(', ')

class Reader {
  readonly #environment: Environment

  constructor (environment: Environment) {
    this.#environment = environment
  }

  text (variable: Variable): string | undefined {
    const value = this.#environment[variable]
    return value === '' ? undefined : value
  }

  /** Returns the value of a variable. If the variable isn't set, throws an error that shows `why`, the purpose of the variable. */
  required (variable: Variable, why: string): string {
    const value = this.text(variable)
    if (value === undefined) throw new CACHE_ERR_OPTION(variable, `set ${why}`, 'nothing')
    return value
  }

  positiveInteger (variable: Variable): number | undefined {
    const value = this.text(variable)
    if (value !== undefined && (!/^[1-9]\d*$/.test(value) || !Number.isSafeInteger(Number(value)))) {
      throw new CACHE_ERR_OPTION(variable, 'a positive integer in digits', show(value))
    }
    return value === undefined ? undefined : Number(value)
  }

  duration (variable: Variable): Duration | undefined {
    const value = this.text(variable)
    if (value === undefined) return undefined
    const given = /^\d+(\.\d+)?$/.test(value) ? Number(value) : value
    if (!isDuration(given) || parseDuration(given) === 0) {
      throw new CACHE_ERR_OPTION(
        variable, "a positive number of seconds or a string such as '250ms', '90s', '5m', '2h', '1d' (at most 3650d)", show(value))
    }
    return given
  }

  /** Returns the URL in a variable. Errors don't show the URL, because it may contain a password. */
  url (variable: Variable, why: string, protocols: readonly string[]): string {
    const value = this.required(variable, why)
    if (!URL.canParse(value) || !protocols.includes(new URL(value).protocol)) {
      throw new CACHE_ERR_OPTION(variable, `a URL that begins with ${protocols.map((one) => `${one}//`).join(' or ')}`, kindOf(value))
    }
    return value
  }

  token (variable: Variable): string | undefined {
    const value = this.text(variable)
    if (value !== undefined && !/^[\x21-\x7e]+$/.test(value)) {
      throw new CACHE_ERR_OPTION(variable, 'printable ASCII without blanks', kindOf(value))
    }
    return value
  }
}

/** Maps each backend's name to the function that reads that backend's options from the variables. */
const BACKENDS: Readonly<Record<string, (read: Reader) => object>> = {
  memory: (read) => given({ maxBytes: read.positiveInteger('MEMORY_CACHE_BYTES') }),
  file: (read) => given({ dir: read.text('CACHE_DIR') }),
  sqlite: (read) => given({ path: read.text('SQLITE_PATH') }),
  redis: (read) => ({ url: read.url('REDIS_URL', 'for the backend redis', ['redis:', 'rediss:']) }),
  http: (read) =>
    given({ baseUrl: read.url('CACHE_HTTP_URL', 'for the backend http', ['http:', 'https:']), authToken: read.token('CACHE_HTTP_TOKEN') }),
  tiered: (read) => {
    const far = farBackend(read)
    return { tiers: [choice(read, 'memory'), choice(read, far)] }
  }
}

/**
 * Reads plugin options from variables, for example from `process.env`. An option is absent if its variable is not set. If `registry` is
 * given, the backend is looked up in it. If a variable is invalid, throws CACHE_ERR_OPTION, which names the variable.
 */
export function fromEnvironment (environment: Environment, { registry }: { registry?: Registry } = {}): ResponseCacheOptions {
  if (typeof environment !== 'object' || environment === null) {
    throw new CACHE_ERR_OPTION('fromEnvironment(environment)', 'an object of variables, for example process.env', show(environment))
  }
  const read = new Reader(environment)
  const names = registry?.names() ?? Object.keys(BACKENDS)
  const backend = read.text('CACHE_BACKEND') ?? 'memory'
  if (!names.includes(backend)) throw new CACHE_ERR_OPTION('CACHE_BACKEND', `one of ${names.join(', ')}`, show(backend))
  const ttl = read.duration('CACHE_DEFAULT_TTL')
  // The cast at the end is needed, because TypeScript can't see that `choice` pairs each backend's name with that backend's options.
  return {
    ...choice(read, backend),
    ...given({ namespace: read.text('CACHE_NAMESPACE'), defaults: ttl === undefined ? undefined : { ttl }, registry })
  } as ResponseCacheOptions
}

function choice (read: Reader, backend: string): { backend: string, options: object } {
  return { backend, options: Object.hasOwn(BACKENDS, backend) ? BACKENDS[backend]!(read) : {} }
}

/** Returns the name of the backend for the far tier, which is the tier behind memory. */
function farBackend (read: Reader): string {
  const named = FAR.filter(([variable]) => read.text(variable) !== undefined)
  if (named.length > 1) {
    throw new CACHE_ERR_OPTION('CACHE_BACKEND', `tiered with at most one of ${FAR_NAMES}, which says where the far tier is`,
      named.map(([variable]) => variable).join(' and '))
  }
  return named[0]?.[1] ?? 'sqlite'
}

/** Returns a copy without the fields that are undefined. */
function given<T extends object> (fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> }
}
