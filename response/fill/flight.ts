// A flight: the work of one request, and the requests that wait for its outcome. All of them need the same variant of the same key.
import { Deadline, type Wait } from '../../registry/deadline.js'

/** Why a request that waited gets nothing from a flight. `look-again`: something was stored, or invalidated, meanwhile. */
export type Released = 'not-shareable' | 'failed' | 'lock-timeout' | 'other-variant' | 'look-again'

/** The outcome of a flight: something to share, or why there is nothing. */
export type FlightOutcome<S> = S | { readonly released: Released }

/**
 * Returns a request's values of these fields, as one text. Two requests with equal texts select the same variant; see `selection`.
 */
export type Selects = (names: readonly string[]) => string

/** A request that waits. */
interface Waiter<S> {
  readonly selects: Selects
  /** Whether the request needs all of the body, so that a stream is of no use before it has ended. */
  readonly needsWhole: boolean
  /** Whether it came when the response was complete, and only its storing was waited for. */
  readonly isLate: boolean
  readonly resolve: (outcome: FlightOutcome<S>) => void
}

/** Once a stream has begun, nobody waits longer for the rest of it than this part of the lock timeout, because it may never end. */
export const VAIN_SHARE = 5

/** `S` is what the requests share. */
export class Flight<S extends object> {
  readonly key: string
  /** The fence's mark when the work began. */
  readonly mark: number
  readonly #startedAt = performance.now()
  readonly #lockTimeoutMs: number
  #names: readonly string[]
  #selecting: string
  #awaits: Array<Flight<S>> | undefined
  #waiters: Array<Waiter<S>> | undefined
  #wait: Wait | undefined
  /** When the head of a stream was known, on the clock of `performance.now()`. */
  #headAt: number | undefined
  #offered: (() => S) | undefined
  #outcome: (() => FlightOutcome<S>) | undefined
  #isComplete = false

  /** `names` are the request fields on which the key's responses are known to vary, and `selects` is that of the request that works. */
  constructor (key: string, mark: number, { names, selects, lockTimeoutMs }: FlightStart) {
    this.key = key
    this.mark = mark
    this.#names = names
    this.#selecting = selects(names)
    this.#lockTimeoutMs = lockTimeoutMs
  }

  /** The request fields on which the key's responses are known to vary. */
  get names (): readonly string[] {
    return this.#names
  }

  /** The working request's values of these fields. */
  get selecting (): string {
    return this.#selecting
  }

  /** Whether the flight ended without a response, or took so long that nobody should wait for it. */
  get isOver (): boolean {
    if (this.#outcome !== undefined) return 'released' in this.#outcome()
    return this.#offered === undefined && performance.now() - this.#startedAt >= this.#lockTimeoutMs
  }

  /** Returns whether a request needs the variant that this flight produces, as far as that is known. */
  isFor (selects: Selects): boolean {
    return selects(this.#names) === this.#selecting
  }

  /** Records that this flight waits for another flight. */
  awaits (other: Flight<S>): void {
    this.#awaits ??= []
    if (!this.#awaits.includes(other)) this.#awaits.push(other)
  }

  /** Returns whether this flight is `other`, or waits for it directly or through other flights. */
  waitsFor (other: Flight<S>): boolean {
    return this === other || (this.#awaits ?? []).some((next) => !next.isOver && next.waitsFor(other))
  }

  /**
   * Waits for the outcome of the flight. After the lock timeout, that outcome is `released`. A request that needs the whole body doesn't
   * wait so long once a stream has begun, because that stream may never end. Never rejects.
   */
  wait (selects: Selects, needsWhole = false): Promise<FlightOutcome<S>> {
    return new Promise((resolve) => {
      const outcome = this.#outcome ?? (needsWhole ? undefined : this.#offered)
      if (outcome !== undefined) return resolve(outcome())
      this.#waiters ??= []
      this.#waiters.push({ selects, needsWhole, isLate: this.#isComplete, resolve })
      this.#wait ??= this.#timeout()
    })
  }

  /**
   * Called when the response says on which fields it varies. `selecting` is the working request's values of these fields. Requests that
   * wait and need another variant don't wait any longer.
   */
  narrow (names: readonly string[], selecting: string): void {
    this.#names = names
    this.#selecting = selecting
    if (this.#waiters === undefined) return
    this.#letGo(({ selects }) => !this.isFor(selects), () => ({ released: 'other-variant' }))
  }

  /** Whether requests wait for the outcome. */
  get isAwaited (): boolean {
    return this.#waiters?.some(({ isLate }) => !isLate) === true
  }

  /** Whether a stream was offered. */
  get isOffered (): boolean {
    return this.#offered !== undefined
  }

  /** Whether a stream may still be offered. */
  get mayBeOffered (): boolean {
    return this.#outcome === undefined && this.#offered === undefined
  }

  /** Gives a stream that has begun to the requests that wait, and to those that come before the flight ends. */
  offer (outcome: () => S): void {
    if (!this.mayBeOffered) return
    let made: S | undefined
    this.#offered = () => (made ??= outcome())
    this.#letGo(({ needsWhole }) => !needsWhole, this.#offered)
  }

  /** Called when the head of a stream is known. From now on, nobody waits long for its bytes, because they may never come. */
  limit (): void {
    this.#headAt = performance.now()
    if (this.#wait === undefined) return
    this.#endWait()
    this.#wait = this.#timeout()
  }

  /**
   * Called when there is something to share, which is being stored. Requests that come from now on wait for that, and then look it up:
   * their lookup may have found what was stored before.
   */
  complete (): void {
    this.#isComplete = true
  }

  /** Ends the flight with nothing to share. Only the first outcome counts. */
  release (released: Released): void {
    this.#settle(() => ({ released }))
  }

  /** Ends the flight with something to share. Only the first outcome counts. `outcome` is called only if a request waits, or asks later. */
  share (outcome: () => S): void {
    let made: S | undefined
    this.#settle(() => (made ??= outcome()))
  }

  #settle (outcome: () => FlightOutcome<S>): void {
    if (this.#outcome !== undefined) return
    this.#outcome = outcome
    this.#letGo(() => true, outcome)
  }

  /** Gives an outcome to those waiting requests that `concerns` accepts. */
  #letGo (concerns: (waiter: Waiter<S>) => boolean, outcome: () => FlightOutcome<S>): void {
    const [gone, left]: [Array<Waiter<S>>, Array<Waiter<S>>] = [[], []]
    for (const waiter of this.#waiters ?? []) (concerns(waiter) ? gone : left).push(waiter)
    if (gone.length === 0) return
    this.#waiters = left
    if (left.length === 0) this.#endWait()
    for (const { isLate, resolve } of gone) resolve(isLate ? { released: 'look-again' } : outcome())
  }

  /** Called when nobody waits any more. A timer that is left would keep the process alive. */
  #endWait (): void {
    this.#wait?.cancel()
    this.#wait = undefined
  }

  #timeout (): Wait {
    const head = this.#headAt
    const restMs = head === undefined
      ? this.#startedAt + this.#lockTimeoutMs - performance.now()
      : this.#lockTimeoutMs / VAIN_SHARE
    return new Deadline(Math.max(restMs, 0)).wait(() => {
      this.#wait = undefined
      // A stream that has begun may still be offered, or be stored, later.
      if (head === undefined) this.release('lock-timeout')
      else this.#letGo(() => true, () => ({ released: 'lock-timeout' }))
    })
  }
}

export interface FlightStart {
  readonly names: readonly string[]
  readonly selects: Selects
  readonly lockTimeoutMs: number
}
