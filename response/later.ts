// Now or later: the one helper that tells a value from a promise, for the path of a hit; and later than one can wait.
import { setTimeout as after } from 'node:timers'
import type { MaybePromise } from '../registry/backend.js'

export function isPromise<T> (value: MaybePromise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

/** `next(value)` at once where the value is there, else when it comes. */
export function andThen<T, R> (value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isPromise(value) ? value.then(next) : next(value)
}

/**
 * What an asynchronous handler must answer: Fastify sends what its promise brings, `undefined` too, so an answer that
 * is sent by other means is waited for.
 */
export function whenSent<T> (result: unknown, reply: T): unknown {
  return result === undefined ? reply : result
}

/** When all waits of one request together must be over, in `performance.now()`. Its time begins with the first of them. */
export class Deadline {
  readonly #ms: number
  #at: number | undefined

  constructor (ms: number) {
    this.#ms = ms
  }

  get at (): number {
    this.#at ??= performance.now() + this.#ms
    return this.#at
  }

  /** Waiting for somebody else is not held against it. */
  extend (ms: number): void {
    if (this.#at !== undefined) this.#at += ms
  }
}

export const LATE = Symbol('late')
export const NO_ANSWER = new Error('no answer before the deadline')
export const noop = (): void => {}

/** What `promise` brings, or LATE when it takes longer than `ms`. */
export async function within<T> (ms: number, promise: Promise<T>): Promise<T | typeof LATE> {
  let timer: NodeJS.Timeout | undefined
  try {
    return await Promise.race([promise, new Promise<typeof LATE>((resolve) => { timer = after(() => resolve(LATE), ms) })])
  } finally {
    clearTimeout(timer)
  }
}

/** Keeps `work` in a set until it settles. */
export function hold (among: Set<Promise<unknown>>, work: Promise<unknown>): void {
  const over = (): void => { among.delete(work) }
  among.add(work)
  work.then(over, over)
}
