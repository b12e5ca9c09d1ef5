// What an author hands to the cases: how a backend is opened, its clock, and the levers that author has.
import type { CacheBackend, MaybePromise } from '../../registry/backend.js'

/** Ends a fault that a lever began. */
export type Heal = () => MaybePromise<void>

/** A backend on a client that is its author's and not its own. */
export interface Lent {
  /** The backend on that client. */
  readonly backend: CacheBackend
  /** Whether the client can still be used. */
  isOpen (): MaybePromise<boolean>
  /** Closes the client; called when the case is over. */
  release (): MaybePromise<void>
}

/** The backend as a program of its own, for what can only be seen from outside of a process. */
export interface Program {
  /**
   * A module that Node can import. It exports `open(where)`, which answers a backend on the system's clock, now or later.
   * The kit runs it in a process of its own, with the present process's flags and environment.
   */
  readonly module: string | URL
  /**
   * Where the backend that was opened last keeps its entries, as the module's `open` is told: a path, a URL, a prefix; '' when in memory.
   */
  where (): string
}

/**
 * The backend under test. The first three are what every case needs. The others are levers: each declares something that
 * the backend promises, or does something to its store, and cases for which a lever is missing are skipped.
 */
export interface ConformanceSubject {
  /** A backend that holds nothing yet and that nobody else uses. The case closes it. */
  open (): Promise<CacheBackend>
  /** The clock that the backend was given, in epoch milliseconds. */
  now (): number
  /** Settles when that clock has moved on by at least `ms`: a clock of the test's own is set, a real one is waited for. */
  pass (ms: number): Promise<void>

  /** Declares that all backends of `open` are on one and the same store, which each finds empty: no case asks whether they are apart. */
  readonly isOneStore?: true
  /** How long it may take until a backend works again after its store does. @default 15_000 */
  readonly recoveryMs?: number
  /**
   * How many times as long as usual the kit waits before it says that something takes too long: more than 1 for a slow machine. @default 1
   */
  readonly patience?: number
  /** Opens anew what `open` opened last, after it was closed. Declares that entries outlive the backend. */
  reopen? (): Promise<CacheBackend>
  /** Opens what `open` opened last a second time, while the first is open. Declares that several backends may use one store at once. */
  share? (): Promise<CacheBackend>
  /** Opens a backend on a client of your own. Declares that clients can be lent. */
  lend? (): Promise<Lent>
  /** Declares that the backend can be opened in a process of its own. */
  readonly program?: Program
  /** How much the store holds for the backend that was opened last, index and all: rows, keys, files or bytes. */
  footprint? (): MaybePromise<number>

  /** The store takes calls and answers none, for all backends that are open or opened. Answers how it goes on. */
  hang? (): MaybePromise<Heal>
  /** Every call of the store ends with an error, or can't be made: it is down. Answers how it works again. */
  fail? (): MaybePromise<Heal>
  /**
   * Damages what the store holds for the backend that was opened last, or has it answer garbage. Called while that is closed where there is
   * `reopen`.
   */
  garble? (): MaybePromise<Heal>
  /** Ends the store at once, as SIGKILL does, and starts it again. For a store that is a process of its own. */
  kill? (): MaybePromise<void>
  /** Sets the backend's clock on or back by `ms`, at once and without time passing. */
  jump? (ms: number): MaybePromise<void>
  /** Removes all that the store holds for the backend that was opened last, under it: its files, its table, its keys. */
  remove? (): MaybePromise<void>
  /** Gives a group rights on all that the store holds for the backend that was opened last, which is closed: `chmod -R g+rwX`. */
  loosen? (): MaybePromise<void>
  /** The store has no room left for anything new. Returns how it has some again. */
  fill? (): MaybePromise<Heal>
  /** Opens a backend on a store of its own that has room for 4 to 16 MiB. Declares that it may fill its store, and makes room by itself. */
  cramped? (): Promise<CacheBackend>
  /** Each change takes the store 50 ms, of whatever it does at once. Returns how it is fast again. */
  slow? (): MaybePromise<Heal>
}

/** The parts of a subject that may be missing and that cases need. */
export const LEVERS = [
  'reopen', 'share', 'lend', 'program', 'footprint', 'hang', 'fail', 'garble', 'kill', 'jump', 'remove', 'loosen', 'fill', 'cramped', 'slow'
] as const

/** The name of a part of a subject that may be missing. @useDeclaredType */
export type Lever = typeof LEVERS[number]

/** A subject that is known to have levers. */
export type SubjectWith<L extends Lever> = ConformanceSubject & Required<Pick<ConformanceSubject, L>>
