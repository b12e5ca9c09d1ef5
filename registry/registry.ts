// The registry opens a backend by its name, and passes it the context that it needs.
import { Background, type BackgroundTasks } from './background.js'
import { REQUIRED_METHODS, type CacheBackend, type MaybePromise } from './backend.js'
import type { BackendChoice, BackendName, BackendOptions } from './names.js'
import { show } from './check.js'
import { CACHE_ERR_BACKEND_CONTRACT, CACHE_ERR_BACKEND_DUPLICATE, CACHE_ERR_BACKEND_UNKNOWN, CACHE_ERR_OPTION } from './errors.js'

/** The part of a logger that backends use. */
export interface CacheLog {
  /** Details for debugging. */
  debug (details: object, message: string): void
  /** Something that an operator may want to know. */
  info (details: object, message: string): void
  /** Something that an operator should look at, though requests are still served. */
  warn (details: object, message: string): void
  /** Something that an operator must look at. */
  error (details: object, message: string): void
}

/** The context that a backend receives when it is opened. */
export interface BackendContext {
  /** Returns the current time, in epoch milliseconds. Only this clock decides whether an entry has expired. */
  now (): number
  /** Logs events that an operator must know about but no caller learns of. Failures are thrown instead of logged. */
  readonly log: CacheLog
  /** Aborted when the cache closes. */
  readonly signal: AbortSignal
  /** Runs tasks between requests. The backend cancels its tasks in `close()`. */
  readonly background: BackgroundTasks
  /** Opens another backend by name. A backend that is made of other backends calls this, and must close each backend that it opens. */
  open (choice: BackendChoice): Promise<CacheBackend>
  /** How long a request waits for a read. After that, the backend may give up. Absent if the backend is used without an application. */
  readonly deadlineMs?: number
  /**
   * Returns whether `key` is the key of a tag's stamp. Other entries depend on stamps, so a backend may use a copy of a stamp for at most
   * one second. Absent if the backend is used without an application.
   */
  isStamp? (key: string): boolean
  /** Returns the decoration `name` of the Fastify application, or undefined if there is none yet. Absent if used without an application. */
  decoration? (name: string): unknown
}

/** The definition of a backend, from which the registry opens it. Created with `defineBackend`. */
export interface BackendDefinition<Options = any> {
  /** The suggested name. The registry does not use this name, but the one that was passed to `add`. */
  readonly name: string
  /** Checks `options` and opens the backend. Throws CACHE_ERR_OPTION for a wrong option. */
  readonly create: (options: Options, context: BackendContext) => MaybePromise<CacheBackend>
}

/** Loads a definition when its name is first used, so that unused backends are not imported. */
export type BackendLoader<Options = any> = () => MaybePromise<BackendDefinition<Options>>

/** Returns `definition` unchanged. TypeScript checks the types of `definition`. A backend's module exports the result as default. */
export function defineBackend<Options> (definition: BackendDefinition<Options>): BackendDefinition<Options> {
  return definition
}

const silent: CacheLog = { debug () {}, info () {}, warn () {}, error () {} }

/** Keeps backends under their names. Each plugin registration has its own registry, so registrations share nothing at module level. */
export class Registry {
  readonly #loaders = new Map<string, BackendLoader>()

  /** Adds a backend under `name`. Returns the registry. Throws CACHE_ERR_BACKEND_DUPLICATE if the name is taken. */
  add<Name extends BackendName> (name: Name, load: BackendLoader<BackendOptions[NoInfer<Name>]>): this {
    if (typeof name !== 'string' || name.length === 0) {
      throw new CACHE_ERR_OPTION('registry.add(name)', 'a non-empty string', show(name))
    }
    if (typeof load !== 'function') {
      throw new CACHE_ERR_OPTION(`registry.add('${name}', load)`, 'a function that returns a backend definition', show(load))
    }
    if (this.#loaders.has(name)) throw new CACHE_ERR_BACKEND_DUPLICATE(name)
    this.#loaders.set(name, load)
    return this
  }

  /** Returns the names of the backends that can be opened, in the order in which they were added. */
  names (): string[] {
    return [...this.#loaders.keys()]
  }

  /**
   * Opens a backend. By default, its `context` has the system's clock, a log that discards everything, and a signal that is never aborted.
   * Throws CACHE_ERR_BACKEND_UNKNOWN, CACHE_ERR_BACKEND_CONTRACT, or the error that the backend throws.
   */
  async open (choice: BackendChoice, context: Partial<BackendContext> = {}): Promise<CacheBackend> {
    const { backend: name, options = {} } = choice as { backend: string, options?: unknown }
    const load = this.#loaders.get(name)
    if (load === undefined) throw new CACHE_ERR_BACKEND_UNKNOWN(show(name).replace(/^'|'$/g, ''), this.names().join(', '))
    const definition = await load()
    if (typeof definition?.create !== 'function') {
      throw new CACHE_ERR_BACKEND_CONTRACT(
        name, 'a definition made with defineBackend({ name, create }), returned by the function given to registry.add', show(definition))
    }
    const lent: BackendContext = {
      now: context.now ?? Date.now,
      log: context.log ?? silent,
      signal: context.signal ?? new AbortController().signal,
      background: context.background ?? new Background(context.log ?? silent),
      open: context.open ?? ((inner) => this.open(inner, lent)),
      ...(context.deadlineMs !== undefined && { deadlineMs: context.deadlineMs }),
      ...(context.isStamp !== undefined && { isStamp: context.isStamp }),
      ...(context.decoration !== undefined && { decoration: context.decoration })
    }
    return checkContract(name, await definition.create(options, lent))
  }
}

function checkContract (name: string, backend: CacheBackend): CacheBackend {
  const missing = REQUIRED_METHODS.filter((method) => typeof backend?.[method] !== 'function')
  if (missing.length > 0) {
    throw new CACHE_ERR_BACKEND_CONTRACT(name, `the methods ${REQUIRED_METHODS.join(', ')}`, `one without ${missing.join(', ')}`)
  }
  // Neither is of use without the other: nothing would check the tokens, or there would be none.
  const [alone] = (['claim', 'settle'] as const).filter((method) => typeof backend[method] === 'function')
  if (alone !== undefined && (typeof backend.claim !== 'function' || typeof backend.settle !== 'function')) {
    throw new CACHE_ERR_BACKEND_CONTRACT(name, 'both of the methods claim and settle, or neither', `one with only ${alone}`)
  }
  return backend
}
