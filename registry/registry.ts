// The registry: from a name to a living backend, and the context that a backend is lent.
import { Background, type BackgroundTasks } from './background.js'
import { REQUIRED_METHODS, type CacheBackend, type MaybePromise } from './backend.js'
import type { BackendChoice, BackendName, BackendOptions } from './names.js'
import { show } from './check.js'
import { CACHE_ERR_BACKEND_CONTRACT, CACHE_ERR_BACKEND_DUPLICATE, CACHE_ERR_BACKEND_UNKNOWN, CACHE_ERR_OPTION } from './errors.js'

/** The part of a logger that is lent to backends. */
export interface CacheLog {
  /** What helps to find out why. */
  debug (details: object, message: string): void
  /** What an operator may want to know. */
  info (details: object, message: string): void
  /** What an operator should look at, though answers go on. */
  warn (details: object, message: string): void
  /** What an operator must look at. */
  error (details: object, message: string): void
}

/** What a backend is lent while it lives. */
export interface BackendContext {
  /** The only clock: epoch milliseconds. */
  now (): number
  /** For what an operator must know and no caller can be told. Failures are thrown, not logged. */
  readonly log: CacheLog
  /** Aborted when the cache closes. */
  readonly signal: AbortSignal
  /** Work between requests; the backend cancels in `close()` what it started. */
  readonly background: BackgroundTasks
  /** Opens another backend by name, for backends that are made of backends. Whoever opens closes. */
  open (choice: BackendChoice): Promise<CacheBackend>
  /**
   * How long a request waits for a read: what comes later is used by nobody, so it need not be read on. Absent outside of an application.
   */
  readonly deadlineMs?: number
  /**
   * Whether `key` is that of a tag's stamp, which decides over other entries: a copy of one is used for a second at most. Absent outside of
   * an application.
   */
  isStamp? (key: string): boolean
  /** What the application is decorated with under `name` by now; undefined when nothing is. Absent outside of an application. */
  decoration? (name: string): unknown
}

/** A backend that can be opened. Made with `defineBackend`. */
export interface BackendDefinition<Options = any> {
  /** The name under which it is meant to be added; a registry goes by the one that `add` was given. */
  readonly name: string
  /** Checks `options`, opens the backend. Throws CACHE_ERR_OPTION for an option that is wrong. */
  readonly create: (options: Options, context: BackendContext) => MaybePromise<CacheBackend>
}

/** Loads a definition when its name is first asked for, so that nothing is imported for a backend that is not used. */
export type BackendLoader<Options = any> = () => MaybePromise<BackendDefinition<Options>>

/** `definition`, checked by the types: the one thing that a backend's module exports. */
export function defineBackend<Options> (definition: BackendDefinition<Options>): BackendDefinition<Options> {
  return definition
}

const silent: CacheLog = { debug () {}, info () {}, warn () {}, error () {} }

/** Names and what they open. Each plugin registration has its own; nothing is shared at module level. */
export class Registry {
  readonly #loaders = new Map<string, BackendLoader>()

  /** Adds a backend under `name`. Throws CACHE_ERR_BACKEND_DUPLICATE when the name is taken. Answers the registry. */
  add<Name extends BackendName> (name: Name, load: BackendLoader<BackendOptions[NoInfer<Name>]>): this {
    if (typeof name !== 'string' || name.length === 0) {
      throw new CACHE_ERR_OPTION('registry.add(name)', 'a string that is not empty', show(name))
    }
    if (typeof load !== 'function') {
      throw new CACHE_ERR_OPTION(`registry.add('${name}', load)`, 'a function that answers a backend definition', show(load))
    }
    if (this.#loaders.has(name)) throw new CACHE_ERR_BACKEND_DUPLICATE(name)
    this.#loaders.set(name, load)
    return this
  }

  /** The names that can be opened, in the order in which they were added. */
  names (): string[] {
    return [...this.#loaders.keys()]
  }

  /**
   * Opens a backend. What is missing in `context` is filled in: the system's clock, silence, a signal that never
   * aborts. Throws CACHE_ERR_BACKEND_UNKNOWN, CACHE_ERR_BACKEND_CONTRACT, or what the backend throws.
   */
  async open (choice: BackendChoice, context: Partial<BackendContext> = {}): Promise<CacheBackend> {
    const { backend: name, options = {} } = choice as { backend: string, options?: unknown }
    const load = this.#loaders.get(name)
    if (load === undefined) throw new CACHE_ERR_BACKEND_UNKNOWN(show(name).replace(/^'|'$/g, ''), this.names().join(', '))
    const definition = await load()
    if (typeof definition?.create !== 'function') {
      throw new CACHE_ERR_BACKEND_CONTRACT(
        name, "a definition made with defineBackend({ name, create }), which registry.add's function answers", show(definition))
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
  return backend
}
