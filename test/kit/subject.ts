// The subject that a backend's author gives to the cases. It opens the backend, tells its time, and has the author's levers.
import type { CacheBackend, MaybePromise } from '../../registry/backend.js'

/** Ends a fault that a lever began. */
export type Heal = () => MaybePromise<void>

/** A backend that uses a caller-owned client. */
export interface Lent {
  /** The backend that uses the client. */
  readonly backend: CacheBackend
  /** Returns whether the client is still usable. */
  isOpen (): MaybePromise<boolean>
  /** Closes the client. Called at the end of the case. */
  release (): MaybePromise<void>
}

/** A program that opens the backend in a child process, to test behaviour that is only visible from outside the process. */
export interface Program {
  /**
   * A module that Node can import. It exports `open(where)`, which returns a backend that uses the system's clock, or a promise of one.
   * The kit runs the module in a child process, with the flags and the environment of this process.
   */
  readonly module: string | URL
  /**
   * Returns where the backend that was opened last keeps its entries: a path, a URL or a prefix, or '' if it keeps them in memory. The
   * result is passed to the module's `open`.
   */
  where (): string
}

/**
 * The backend under test. Every case needs the first three members. The levers are optional. Each lever declares something that the
 * backend promises, or does something to the backend's store. A case is skipped if a lever that it needs is missing.
 */
export interface ConformanceSubject {
  /** Opens an empty backend that nothing else uses. The case closes the backend. */
  open (): Promise<CacheBackend>
  /** Returns the time of the backend's clock, in epoch milliseconds. */
  now (): number
  /** Settles when the backend's clock has advanced by at least `ms`. Either sets the test's own clock, or waits for a real clock. */
  pass (ms: number): Promise<void>

  /** Declares that all backends that `open` returns use one store, which `open` empties. No case then tests that they share no entries. */
  readonly isOneStore?: true
  /** How long a backend may take to work again after its store does, in milliseconds. @default 15_000 */
  readonly recoveryMs?: number
  /**
   * All limits of the kit are multiplied by this. On a slow machine, use more than 1. @default 1
   */
  readonly patience?: number
  /** Reopens the backend that `open` opened last, after it was closed. Declares that entries are kept when the backend is closed. */
  reopen? (): Promise<CacheBackend>
  /** Opens a second backend on the store of the last one, which is still open. Declares that several backends may share a store. */
  share? (): Promise<CacheBackend>
  /** Opens a backend that uses a client of your own. Declares that the backend accepts caller-owned clients. */
  lend? (): Promise<Lent>
  /** Declares that the backend can be opened in a child process. */
  readonly program?: Program
  /** Returns how much the store contains for the backend that was opened last, including indexes: rows, keys, files or bytes. */
  footprint? (): MaybePromise<number>

  /** Makes the store accept calls and never respond, to any backend. Returns a function that ends this. */
  hang? (): MaybePromise<Heal>
  /**
   * Makes every call to the store fail with an error, or makes calls impossible, as if the store were down. Returns a function that ends
   * this.
   */
  fail? (): MaybePromise<Heal>
  /**
   * Damages everything that the store contains for the backend that was opened last, or makes the store return garbage. If the subject has
   * `reopen`, this is called while that backend is closed. Returns a function that makes the store work again.
   */
  garble? (): MaybePromise<Heal>
  /** Ends the store at once, as SIGKILL does, and starts it again. Only for a store that is a process of its own. */
  kill? (): MaybePromise<void>
  /** Sets the backend's clock forward or back by `ms`, at once. */
  jump? (ms: number): MaybePromise<void>
  /**
   * Removes everything that the store contains for the backend that was opened last (its files, its table or its keys), while that backend
   * is open.
   */
  remove? (): MaybePromise<void>
  /**
   * Gives a group access to everything that the store contains for the backend that was opened last, as `chmod -R g+rwX` does. Called while
   * that backend is closed.
   */
  loosen? (): MaybePromise<void>
  /** Makes the store have no room for anything new. Returns a function that ends this. */
  fill? (): MaybePromise<Heal>
  /** Opens a backend on a store of its own with room for 4 to 16 MiB. Declares that the backend makes room when it has filled the store. */
  cramped? (): Promise<CacheBackend>
  /** Makes each change take the store 50 ms, however many changes it makes at the same time. Returns a function that ends this. */
  slow? (): MaybePromise<Heal>
}

/** The optional members of a subject that cases need. */
export const LEVERS = [
  'reopen', 'share', 'lend', 'program', 'footprint', 'hang', 'fail', 'garble', 'kill', 'jump', 'remove', 'loosen', 'fill', 'cramped', 'slow'
] as const

/** The name of an optional member of a subject that cases need. @useDeclaredType */
export type Lever = typeof LEVERS[number]

/** A subject that has these levers. */
export type SubjectWith<L extends Lever> = ConformanceSubject & Required<Pick<ConformanceSubject, L>>
