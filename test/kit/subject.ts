// What a backend's author gives to the cases: how to open a backend, its clock, and the author's levers.
import type { CacheBackend, MaybePromise } from '../../registry/backend.js'

/** Ends a fault that a lever began. */
export type Heal = () => MaybePromise<void>

/** A backend on a caller-owned client. */
export interface Lent {
  /** The backend on that client. */
  readonly backend: CacheBackend
  /** Whether the client is still usable. */
  isOpen (): MaybePromise<boolean>
  /** Closes the client; called at the end of the case. */
  release (): MaybePromise<void>
}

/** A program that opens the backend in a child process, for behaviour that is only visible from outside the process. */
export interface Program {
  /**
   * A module that Node can import. It exports `open(where)`, which returns a backend on the system's clock, or a promise of one.
   * The kit runs the module in a child process, with the flags and the environment of this process.
   */
  readonly module: string | URL
  /**
   * Where the backend that was opened last keeps its entries, as an argument of the module's `open`: a path, a URL, a prefix; '' if it
   * keeps them in memory.
   */
  where (): string
}

/**
 * The backend under test. Every case needs the first three members. The levers are optional: each of them declares something that the
 * backend promises, or does something to its store. A case whose lever is missing is skipped.
 */
export interface ConformanceSubject {
  /** Opens an empty backend that nothing else uses. The case closes it. */
  open (): Promise<CacheBackend>
  /** The backend's clock, in epoch milliseconds. */
  now (): number
  /** Settles when that clock has advanced by at least `ms`: it sets the test's own clock, or waits for a real one. */
  pass (ms: number): Promise<void>

  /** Declares that all backends of `open` use one store, which each finds empty. No case then tests that their entries are separate. */
  readonly isOneStore?: true
  /** How long it may take until a backend works again after its store does. @default 15_000 */
  readonly recoveryMs?: number
  /**
   * By how much the limits of the kit are multiplied: more than 1 for a slow machine. @default 1
   */
  readonly patience?: number
  /** Reopens the backend that `open` opened last, after it was closed. Declares that entries outlive the backend. */
  reopen? (): Promise<CacheBackend>
  /** Opens that backend a second time while the first is open. Declares that several backends may use one store concurrently. */
  share? (): Promise<CacheBackend>
  /** Opens a backend on a client of your own. Declares that the backend accepts caller-owned clients. */
  lend? (): Promise<Lent>
  /** Declares that the backend can be opened in a child process. */
  readonly program?: Program
  /** How much the store holds for the backend that was opened last, indexes included: rows, keys, files or bytes. */
  footprint? (): MaybePromise<number>

  /** From now on the store accepts calls and never responds, to any backend. Returns what ends that. */
  hang? (): MaybePromise<Heal>
  /** From now on every call of the store ends with an error, or can't be made, because the store is down. Returns what ends that. */
  fail? (): MaybePromise<Heal>
  /**
   * Damages what the store holds for the backend that was opened last, or makes the store return garbage. If there is `reopen`, it is
   * called while that backend is closed. Returns what makes the store work again.
   */
  garble? (): MaybePromise<Heal>
  /** Ends the store at once, as SIGKILL does, and starts it again. For a store that is a process of its own. */
  kill? (): MaybePromise<void>
  /** Sets the backend's clock forward or back by `ms`, at once. */
  jump? (ms: number): MaybePromise<void>
  /** Removes everything that the store holds for the backend that was opened last, while it is open: its files, its table, its keys. */
  remove? (): MaybePromise<void>
  /** Gives a group access to everything that the store holds for the backend that was opened last, which is closed: `chmod -R g+rwX`. */
  loosen? (): MaybePromise<void>
  /** From now on the store has no room for anything new. Returns what ends that. */
  fill? (): MaybePromise<Heal>
  /** Opens a backend on its own store, with room for 4 to 16 MiB. Declares that the backend may fill the store, and makes room in it. */
  cramped? (): Promise<CacheBackend>
  /** From now on each change takes the store 50 ms, however many changes it makes concurrently. Returns what ends that. */
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
