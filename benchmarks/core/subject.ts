// What is measured: anything that keeps bytes under keys.

/** An answer that may be there now or later. */
export type MaybePromise<T> = T | PromiseLike<T>

/** A store under measurement: a backend, or the raw driver beside it. */
export interface Subject {
  /** What is found under `key`; undefined or null when there is nothing. */
  get (key: string): MaybePromise<unknown>
  set (key: string, value: Buffer): MaybePromise<unknown>
  delete (key: string): MaybePromise<unknown>
  /** The bytes in what `get` answered. */
  bytesOf (found: unknown): Uint8Array
  /** Bytes that the store says its entries take, where it says so. */
  storedBytes? (): MaybePromise<number | undefined>
  close (): MaybePromise<unknown>
}

/** How a process of its own gets at a subject. */
export interface SubjectChoice {
  /** URL of a module that exports `open(options): Promise<Subject>`. */
  readonly moduleUrl: string
  readonly options: unknown
}

/** How long entries live: far longer than a run, and an end for what a killed run leaves. */
export const LIFE_MS = 15 * 60_000

export function isLater<T> (answer: MaybePromise<T>): answer is PromiseLike<T> {
  return (answer as PromiseLike<T> | undefined | null)?.then !== undefined
}
