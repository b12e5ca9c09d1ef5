// The guard: every call to the backend goes through it, with a deadline and a circuit breaker. A failed call never fails a request.
import type { CacheBackend, MaybePromise, Power, StoredEntry } from '../../registry/backend.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { UNAVAILABLE, type Read } from '../../registry/unavailable.js'
import { CircuitBreaker } from './circuit-breaker.js'
import { WriteBehind, WAITED, type ClaimToSettle, type EntryToWrite } from './write-behind.js'
import { LateChanges, MANY_LATE } from './late-changes.js'
import { inTime, EXPLICIT_CALL_DEADLINE_MS, Progress } from './explicit-calls.js'
import { andThen, isPromise, hold, noop } from '../../registry/maybe-promise.js'
import { untilDeadline, type Asked } from './until-deadline.js'
import { Deadline, LATE, within } from '../../registry/deadline.js'
import { safeError } from '../observe/log.js'
import type { Observer } from '../observe/observer.js'

/** Limit on concurrent calls. Beyond it, a call is not made, and the backend counts as unavailable for it. */
const MAX_PENDING = 1_000

export interface GuardOptions {
  readonly name: string
  readonly deadlineMs: number
  readonly now: () => number
  /** Returns the milliseconds of a clock that never jumps. */
  readonly steadyNow: () => number
  readonly observer: Observer
}

export class BackendGuard {
  /** Whether `close` was called. Read only. */
  isClosed = false
  readonly #backend: CacheBackend
  readonly #options: GuardOptions
  readonly #breaker: CircuitBreaker
  readonly #fills = new WriteBehind({ send: (key, write) => this.#send(key, write), dropped: (key) => this.#failed('set', WAITED, key) })
  /** Changes of entries that have not settled. `#others` holds other unsettled work that goes on after a response was sent. */
  readonly #changes = new Set<Promise<unknown>>()
  readonly #others = new Set<Promise<unknown>>()
  readonly #late = new LateChanges()
  #pending = 0

  constructor (backend: CacheBackend, options: GuardOptions) {
    this.#backend = backend
    this.#options = options
    this.#breaker = new CircuitBreaker(options.steadyNow)
  }

  /** The number of failed calls to the backend, by method. */
  get errors (): Readonly<Record<string, number>> {
    return this.#options.observer.errors
  }

  /**
   * Returns a deadline for the reads of one request. Its time starts with the first read, and is measured in real time, not by the clock
   * `now`.
   */
  deadline (): Deadline {
    return new Deadline(this.#options.deadlineMs)
  }

  /**
   * Returns the entry under `key`, undefined if there is none or it has expired, or UNAVAILABLE after a failure or after `deadline`.
   * Returns a promise only if the backend does. Never rejects.
   */
  get (key: string, deadline: Deadline): MaybePromise<Read> {
    const waiting = this.#fills.isEmpty ? undefined : this.#fills.find(key)
    if (waiting === undefined) return this.#get(key, deadline)
    if (!(waiting instanceof Promise)) return this.#live(waiting)
    deadline.begin()
    return waiting.then((stored) => stored === undefined ? this.#get(key, deadline) : this.#live(stored))
  }

  #live (entry: StoredEntry): StoredEntry | undefined {
    return entry.expiresAt > this.#options.now() ? entry : undefined
  }

  #get (key: string, deadline: Deadline): MaybePromise<Read> {
    if (!this.#admits()) return UNAVAILABLE
    try {
      const result: MaybePromise<unknown> = this.#backend.get(key)
      return result !== undefined && isPromise(result)
        ? this.#awaited({ operation: 'get', key, deadline }, result, (value) => this.#checked(value, key))
        : this.#checked(result, key)
    } catch (err) {
      return this.#failed('get', err, key, deadline.requestId)
    }
  }

  /** Reads several keys: in one call if the backend has `getMany`, otherwise in concurrent calls. */
  getMany (keys: readonly string[], deadline: Deadline): MaybePromise<readonly Read[]> {
    if (this.#backend.getMany === undefined || keys.length < 2 || !this.#fills.isEmpty) {
      const reads = keys.map((key) => this.get(key, deadline))
      return reads.some(isPromise) ? Promise.all(reads) : reads as Read[]
    }
    const checked = (values: unknown): Read[] => {
      if (!Array.isArray(values) || values.length !== keys.length) throw new TypeError('the result is not a list with a value per key')
      return Array.from(values, (value, index) => this.#checked(value, keys[index] as string))
    }
    const read = this.ask({ operation: 'getMany', key: keys[0], deadline }, (backend) => backend.getMany!(keys), checked)
    return andThen(read, (reads) => reads === UNAVAILABLE ? keys.map(() => UNAVAILABLE) : reads)
  }

  /**
   * Makes another call whose failure has no consequences. Returns what `use` returns for its result. Returns UNAVAILABLE after a failure,
   * after the deadline, or if `use` throws an error. Never rejects.
   */
  ask<T> (
    asked: Asked, call: (backend: CacheBackend) => MaybePromise<unknown>, use: (value: unknown) => T
  ): MaybePromise<T | typeof UNAVAILABLE> {
    if (!this.#admits()) return UNAVAILABLE
    const used = (value: unknown): T => {
      const result = use(value)
      this.#succeeded()
      return result
    }
    try {
      const result = call(this.#backend)
      return isPromise(result) ? this.#awaited(asked, result, used) : used(result)
    } catch (err) {
      return this.#failed(asked.operation, err, asked.key, asked.deadline.requestId)
    }
  }

  /**
   * Stores an entry in the background, if a claim is given by settling that. A failure is counted and logged. Returns false if the entry is
   * dropped at once. That happens after `close`, while an earlier change of the key is late, and if too many changes are late or waiting.
   */
  writeBehind (key: string, entry: StoredEntry, claim?: ClaimToSettle): boolean {
    return !this.isClosed && this.#late.byKey.size < MANY_LATE && this.#fills.put(key, entry, claim)
  }

  /** Deletes an unused entry in the background. A failure is counted and logged. */
  deleteBehind (key: string): void {
    if (!this.isClosed) this.write('delete', key).catch(noop)
  }

  /**
   * Makes an explicit change to a key's entry. If an earlier change of the same key is late, first waits until that one has settled.
   * Rejects with CACHE_ERR_BACKEND_FAILED if the new change fails.
   */
  async write (operation: 'set' | 'delete', key: string, entry?: StoredEntry): Promise<void> {
    this.#mustAdmit(operation)
    this.#fills.drop(key)
    const act = async (): Promise<void> =>
      await (operation === 'set' ? this.#backend.set(key, entry as StoredEntry) : this.#backend.delete(key))
    const before = this.#late.byKey.get(key)
    const done = before === undefined ? act() : before.then(act)
    hold(this.#changes, done)
    try {
      await this.#onPurpose(operation, inTime(done), key)
    } catch (err) {
      if (this.#changes.has(done)) this.#late.note(key, done)
      throw err
    }
  }

  /**
   * Deletes all entries whose keys begin with `prefix`, after late changes of such keys have settled. The time is not limited while the
   * backend reports progress. Rejects with CACHE_ERR_BACKEND_FAILED if the deletion fails.
   */
  async clear (prefix: string): Promise<void> {
    this.#mustAdmit('clear')
    this.#fills.dropAll(prefix)
    const progress = new Progress()
    const act = async (): Promise<void> => await this.#backend.clear?.(prefix, progress)
    const before = this.#late.under(prefix)
    const done = before.length === 0 ? act() : Promise.all(before).then(act)
    hold(this.#changes, done)
    await this.#onPurpose('clear', inTime(done, progress))
  }

  /** Returns whether the backend has an optional method. */
  has (power: Power): boolean {
    return typeof this.#backend[power] === 'function'
  }

  /** Makes an explicit change that concerns no entry. Rejects with CACHE_ERR_BACKEND_FAILED if the change fails. */
  async change<T> (operation: string, act: (backend: CacheBackend) => MaybePromise<T>): Promise<T> {
    this.#mustAdmit(operation)
    const done = (async () => await act(this.#backend))()
    hold(this.#changes, done)
    return await this.#onPurpose(operation, inTime(done))
  }

  /** Reads an entry for an explicit call. Rejects with CACHE_ERR_BACKEND_FAILED if the backend is unavailable. */
  async read (key: string): Promise<StoredEntry | undefined> {
    this.#mustBeOpen('get')
    const value = await this.get(key, this.deadline())
    if (value === UNAVAILABLE) throw new CACHE_ERR_BACKEND_FAILED(this.#options.name, 'get', 'it did not respond; the log says why')
    return value
  }

  /** Calls a method by which the backend reports on itself. The breaker ignores the outcome, as it doesn't show whether reads work. */
  async call<T> (operation: string, act: (backend: CacheBackend) => MaybePromise<T>): Promise<T> {
    this.#mustBeOpen(operation)
    const result = await within(EXPLICIT_CALL_DEADLINE_MS, (async () => await act(this.#backend))())
    if (result === LATE) {
      throw new CACHE_ERR_BACKEND_FAILED(this.#options.name, operation, `no response within ${EXPLICIT_CALL_DEADLINE_MS} ms`)
    }
    return result
  }

  /** Makes `close` wait for work that goes on after a response was sent. The caller handles errors of that work. */
  track (work: MaybePromise<unknown>): void {
    if (work instanceof Promise) hold(this.#others, work)
  }

  /** Waits up to `settleMs` until changes and other work have settled, then up to `closeMs` until the backend is closed. Never rejects. */
  async close (settleMs: number, closeMs: number): Promise<void> {
    this.#fills.flush()
    this.isClosed = true
    const { name, observer: { log } } = this.#options
    const settled = await within(settleMs, Promise.allSettled([...this.#changes, ...this.#others]))
    if (settled === LATE) {
      log.warn('settle', {
        backend: name, writes: this.#changes.size, others: this.#others.size
      }, 'cache: closing while writes or other work has not settled')
    }
    try {
      const closed = await within(closeMs, (async () => await this.#backend.close())())
      if (closed === LATE) {
        log.warn('close', { backend: name, deadlineMs: closeMs }, 'cache: the backend did not close in time, continuing without it')
      }
    } catch (err) {
      log.warn('close', { err: safeError(err), backend: name }, 'cache: the backend failed to close')
    }
  }

  #send (key: string, { entry, claim }: EntryToWrite): Promise<unknown> | boolean {
    if (this.#late.byKey.get(key) !== undefined || !this.#admits()) return false
    const operation = claim === undefined ? 'set' : 'settle'
    const succeeded = (stored: unknown): void => {
      this.#succeeded()
      claim?.settled(stored === true)
    }
    try {
      const result: MaybePromise<unknown> = claim === undefined
        ? this.#backend.set(key, entry)
        : this.#backend.settle!(key, claim.token, { entry, replaces: claim.replaces })
      if (result === undefined || !isPromise(result)) {
        succeeded(result)
        return true
      }
      const done = Promise.resolve(result)
      hold(this.#changes, done)
      this.track(this.#awaited({ operation, key, deadline: this.deadline() }, done, succeeded).then((settled) => {
        if (settled !== UNAVAILABLE) return
        claim?.settled(UNAVAILABLE)
        if (!this.#changes.has(done)) return
        this.#late.note(key, done)
        this.#fills.drop(key)
      }))
      return done.then(noop, noop)
    } catch (err) {
      this.#failed(operation, err, key)
      return false
    }
  }

  #admits (): boolean {
    return !this.isClosed && this.#pending < MAX_PENDING && (this.#breaker.isQuiet || this.#breaker.admits())
  }

  #succeeded (): void {
    if (!this.#breaker.isQuiet) this.#breaker.succeeded()
  }

  #mustBeOpen (operation: string): void {
    if (this.isClosed) throw new CACHE_ERR_CLOSED(operation)
  }

  #mustAdmit (operation: string): void {
    this.#mustBeOpen(operation)
    if (this.#changes.size >= MAX_PENDING) {
      throw new CACHE_ERR_BACKEND_FAILED(this.#options.name, operation, 'too many changes are under way')
    }
  }

  async #onPurpose<T> (operation: string, done: Promise<T>, key?: string): Promise<T> {
    try {
      const result = await done
      this.#succeeded()
      return result
    } catch (err) {
      this.#failed(operation, err, key)
      throw new CACHE_ERR_BACKEND_FAILED(this.#options.name, operation, safeError(err).message, { cause: safeError(err) })
    }
  }

  #awaited<T> (asked: Asked, promise: Promise<unknown>, use: (value: unknown) => T): Promise<T | typeof UNAVAILABLE> {
    this.#pending++
    const over = (): void => { this.#pending-- }
    const failed = (err: unknown): typeof UNAVAILABLE => this.#failed(asked.operation, err, asked.key, asked.deadline.requestId)
    return untilDeadline(promise, asked, { over, use, failed })
  }

  #checked (value: unknown, key: string): Read {
    if (value === undefined) {
      if (!this.#breaker.isQuiet) this.#breaker.succeeded()
      return undefined
    }
    const { value: bytes, expiresAt } = (value ?? {}) as Partial<StoredEntry>
    if (!(bytes instanceof Uint8Array) || typeof expiresAt !== 'number') {
      return this.#failed('get', new TypeError('the result is not an entry'), key)
    }
    this.#succeeded()
    // An imprecise backend may return an entry that has expired. Such an entry is never used.
    return this.#live(value as StoredEntry)
  }

  #failed (operation: string, err: unknown, key: string | undefined, requestId?: string): typeof UNAVAILABLE {
    if (this.isClosed) return UNAVAILABLE
    this.#breaker.note(operation, err)
    const { name: backend, observer } = this.#options
    observer.tellOfBackend({ name: 'backend-failed', backend, operation, err: safeError(err), key, requestId })
    return UNAVAILABLE
  }
}
