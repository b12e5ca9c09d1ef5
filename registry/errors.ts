// Defines all errors of the project and their codes. A code is never renamed or reused, but messages may be improved.
import createError from '@fastify/error'

type Cause = { cause?: unknown }

/**
 * An option is wrong. The message names the option, the expected value and the given one. Thrown when a plugin, route or backend is set up,
 * and by calls that take options.
 */
export const CACHE_ERR_OPTION = createError<[who: string, expected: string, came: string]>(
  'CACHE_ERR_OPTION', "cache: '%s' must be %s, got %s", 500, TypeError as ErrorConstructor)

/** No backend is registered under this name. The message lists the registered names. */
export const CACHE_ERR_BACKEND_UNKNOWN = createError<[name: string, known: string]>(
  'CACHE_ERR_BACKEND_UNKNOWN', "cache: no backend is registered under the name '%s'; known are %s. Add yours with registry.add(name, load)")

/** A backend is already registered under this name. */
export const CACHE_ERR_BACKEND_DUPLICATE = createError<[name: string]>(
  'CACHE_ERR_BACKEND_DUPLICATE', "cache: a backend is registered under the name '%s' already; choose another name")

/** A backend module or its `create` returned something that is not a backend. */
export const CACHE_ERR_BACKEND_CONTRACT = createError<[name: string, expected: string, came: string]>(
  'CACHE_ERR_BACKEND_CONTRACT', "cache: backend '%s' must have %s, got %s")

/** An optional package that a backend needs can't be loaded. The message says why and what to do. `cause` is the error of the import. */
export const CACHE_ERR_DEPENDENCY_MISSING = createError<[backend: string, dependency: string, advice: string, options?: Cause]>(
  'CACHE_ERR_DEPENDENCY_MISSING', "cache: backend '%s' needs the package '%s'; %s")

/** The backend lacks the optional method that this call needs. */
export const CACHE_ERR_POWER_MISSING = createError<[operation: string, name: string, power: string, advice: string]>(
  'CACHE_ERR_POWER_MISSING', "cache: %s can't be done with backend '%s', which lacks the method '%s'; %s")

/** The cache was called after it had been closed. */
export const CACHE_ERR_CLOSED = createError<[operation: string]>(
  'CACHE_ERR_CLOSED', 'cache: %s was called after the cache was closed')

/** A call failed in the backend. `cause` is the error that the backend threw, if it threw one. */
export const CACHE_ERR_BACKEND_FAILED = createError<[name: string, operation: string, why: string, options?: Cause]>(
  'CACHE_ERR_BACKEND_FAILED', "cache: backend '%s' failed in %s: %s")
