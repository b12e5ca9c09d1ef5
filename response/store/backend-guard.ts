// The one place through which a backend is called: deadline, breaker, and a failure that costs no response.
import type { CacheBackend, MaybePromise, StoredEntry } from '../../registry/backend.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { isRefusal } from '../../registry/refusal.js'
import { UNAVAILABLE, type Read } from '../../registry/unavailable.js'
import { CircuitBreaker } from './circuit-breaker.js'
import { WriteBehind, WAITED } from './write-behind.js'
import { LateChanges, MANY_LATE } from './late-changes.js'
import { inTime, EXPLICIT_CALL_DEADLINE_MS, Progress } from './explicit-calls.js'
import { isPromise, hold, noop } from '../../registry/maybe-promise.js'
import { Deadline, HELD_UP, NO_ANSWER, LATE, within } from '../../registry/deadline.js'
import { safeCause, safeError } from '../observe/log.js'
import type { Observer } from '../observe/observer.js'

/** Calls under way at most; the next one finds the backend unavailable at once. */
const MAX_PENDING = 1_000

export interface GuardOptions {
  readonly name: string
  readonly deadlineMs: number
  readonly now: () => number
  /** Milliseconds that never jump. */
  readonly steadyNow: () => number
  readonly observer: Observer
}

export class BackendGuard {
  /** Set once `close` was called. Read only. */
  isClosed = false
  readonly #backend: CacheBackend
  readonly #options: GuardOptions
  readonly #breaker: CircuitBreaker
  readonly #fills = new WriteBehind({ send: (key, entry) => this.#send(key, entry), dropped: (key) => this.#failed('set', WAITED, key) })
  /** Changes of the backend that have not settled yet, and what else goes on behind replies. */
  readonly #changes = new Set<Promise<unknown>>()
  readonly #others = new Set<Promise<unknown>>()
  readonly #late = new LateChanges()
  #pending = 0

  constructor (backend: CacheBackend, options: GuardOptions) {
    this.#backend = backend
    this.#options = options
    this.#breaker = new CircuitBreaker(options.steadyNow)
  }

  /** Failed calls of the backend, by its method. */
  get errors (): Readonly<Record<string, number>> {
    return this.#options.observer.errors
  }

  /** For a request that is going to ask. Real waits have a clock of their own, which nobody sets. */
  deadline (): Deadline {
    return new Deadline(this.#options.deadlineMs)
  }

  /** The entry under `key`, or UNAVAILABLE; at once where the backend has it at once, never later than `deadline`. Never rejects. */
  get (key: string, deadline: Deadline): MaybePromise<Read> {
    const waiting = this.#fills.waiting.size === 0 ? undefined : this.#fills.find(key)
    if (waiting !== undefined) return waiting.expiresAt > this.#options.now() ? waiting : undefined
    if (!this.#admits()) return UNAVAILABLE
    try {
      const answer: MaybePromise<unknown> = this.#backend.get(key)
      return answer !== undefined && isPromise(answer)
        ? this.#awaited('get', answer, deadline, key, (value) => this.#checked(value, key))
        : this.#checked(answer, key)
    } catch (err) {
      return this.#failed('get', err, key)
    }
  }

  /** Several reads in one step where the backend can, else side by side. */
  getMany (keys: readonly string[], deadline: Deadline): MaybePromise<readonly Read[]> {
    if (this.#backend.getMany === undefined || keys.length < 2 || this.#fills.waiting.size > 0) {
      const reads = keys.map((key) => this.get(key, deadline))
      return reads.some(isPromise) ? Promise.all(reads) : reads as Read[]
    }
    const none = keys.map(() => UNAVAILABLE) as Read[]
    if (!this.#admits()) return none
    const checked = (values: unknown): Read[] => Array.isArray(values) && values.length === keys.length
      ? Array.from(values, (value, index) => this.#checked(value, keys[index] as string))
      : (this.#failed('getMany', new TypeError('the result is not a list with a value per key'), keys[0]), none)
    try {
      const answer: MaybePromise<unknown> = this.#backend.getMany(keys)
      if (!isPromise(answer)) return checked(answer)
      return this.#awaited<readonly Read[] | typeof UNAVAILABLE>('getMany', answer, deadline, keys[0], checked)
        .then((read) => read === UNAVAILABLE ? none : read as Read[])
    } catch (err) {
      this.#failed('getMany', err, keys[0])
      return none
    }
  }

  /** Stores without being waited for; a failure is counted. Returns whether it will be: not while a late change of the key is under way. */
  writeBehind (key: string, entry: StoredEntry): boolean {
    return !this.isClosed && this.#late.byKey.size < MANY_LATE && this.#fills.put(key, entry)
  }

  /** Deletes without being waited for: for what nobody can reach any more. */
  deleteBehind (key: string): void {
    if (!this.isClosed) this.write('delete', key).catch(noop)
  }

  /** A change that somebody made on purpose, after a late one of the same key. Rejects with CACHE_ERR_BACKEND_FAILED. */
  async write (operation: 'set' | 'delete', key: string, entry?: StoredEntry): Promise<void> {
    this.#mustAdmit(operation)
    this.#fills.forget(key)
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

  /** Forgets what begins with `prefix`, on purpose, after late changes there. A long walk that says that it goes on is waited for. */
  async clear (prefix: string): Promise<void> {
    this.#mustAdmit('clear')
    this.#fills.forgetAll(prefix)
    const progress = new Progress()
    const act = async (): Promise<void> => await this.#backend.clear?.(prefix, progress)
    const before = this.#late.under(prefix)
    const done = before.length === 0 ? act() : Promise.all(before).then(act)
    hold(this.#changes, done)
    await this.#onPurpose('clear', inTime(done, progress))
  }

  /** A read that somebody made on purpose. Rejects with CACHE_ERR_BACKEND_FAILED when the backend can't say. */
  async read (key: string): Promise<StoredEntry | undefined> {
    this.#mustBeOpen('get')
    const value = await this.get(key, this.deadline())
    if (value === UNAVAILABLE) throw new CACHE_ERR_BACKEND_FAILED(this.#options.name, 'get', 'it did not respond; the log says why')
    return value
  }

  /** What the backend tells of itself. It says nothing of whether reads work, so the breaker doesn't hear of it. */
  async call<T> (operation: string, act: (backend: CacheBackend) => MaybePromise<T>): Promise<T> {
    this.#mustBeOpen(operation)
    const answer = await within(EXPLICIT_CALL_DEADLINE_MS, (async () => await act(this.#backend))())
    if (answer === LATE) {
      throw new CACHE_ERR_BACKEND_FAILED(this.#options.name, operation, `no response within ${EXPLICIT_CALL_DEADLINE_MS} ms`)
    }
    return answer
  }

  /** Work that goes on behind a reply: awaited at close, by whoever started it looked after when it fails. */
  track (work: MaybePromise<unknown>): void {
    if (work instanceof Promise) hold(this.#others, work)
  }

  /** Waits for changes under way, then closes the backend; both at most until their deadline. Never rejects. */
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

  #send (key: string, entry: StoredEntry): Promise<unknown> | boolean {
    if (this.#late.byKey.get(key) !== undefined || !this.#admits()) return false
    try {
      const answer: MaybePromise<void> = this.#backend.set(key, entry)
      if (answer === undefined || !isPromise(answer)) {
        this.#succeeded()
        return true
      }
      const done = Promise.resolve(answer)
      hold(this.#changes, done)
      this.track(this.#awaited('set', done, this.deadline(), key, () => this.#succeeded()).then((settled) => {
        if (settled === UNAVAILABLE && this.#changes.has(done)) this.#late.note(key, done)
      }))
      return done.then(noop, noop)
    } catch (err) {
      this.#failed('set', err, key)
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
      const answer = await done
      this.#succeeded()
      return answer
    } catch (err) {
      this.#failed(operation, err, key)
      throw new CACHE_ERR_BACKEND_FAILED(this.#options.name, operation, safeError(err).message, { cause: safeCause(err) })
    }
  }

  /** What the promise brings, by way of `use`, or UNAVAILABLE once the deadline has passed; what comes later is let go. */
  #awaited<T> (
    operation: string, answer: Promise<unknown>, deadline: Deadline, key: string | undefined, use: (value: unknown) => T
  ): Promise<T | typeof UNAVAILABLE> {
    this.#pending++
    return new Promise((resolve) => {
      let open = true
      const end = (value: () => T | typeof UNAVAILABLE): void => {
        if (!open) return
        open = false
        wait.cancel()
        this.#pending--
        try {
          resolve(value())
        } catch (err) {
          resolve(this.#failed(operation, err, key))
        }
      }
      const wait = deadline.wait((heldUp) => end(() => this.#failed(operation, heldUp ? HELD_UP : NO_ANSWER, key)))
      // What only looks like a promise may throw in its `then`.
      Promise.resolve(answer).then(
        (value) => end(() => use(value)),
        (err) => end(() => this.#failed(operation, err, key)))
    })
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
    // A sloppy backend can lose an entry, never make one live longer.
    return expiresAt > this.#options.now() ? value as StoredEntry : undefined
  }

  #failed (operation: string, err: unknown, key: string | undefined): typeof UNAVAILABLE {
    if (this.isClosed) return UNAVAILABLE
    // Of several tiers one failed: the others respond, and the whole is not left alone for that.
    // And one that refuses an entry for what it is, too large for one, is well.
    if ((err as { isPartial?: unknown } | undefined)?.isPartial === true || isRefusal(err)) this.#succeeded()
    else if (err === HELD_UP || ((err === NO_ANSWER || err === WAITED) && operation === 'set')) this.#breaker.late()
    else this.#breaker.failed()
    const { name: backend, observer } = this.#options
    observer.tellOfBackend({ name: 'backend-failed', backend, operation, err: safeError(err), key })
    return UNAVAILABLE
  }
}
