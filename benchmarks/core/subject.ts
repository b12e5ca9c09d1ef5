// The subject of a measurement. It can be anything that stores bytes under keys.

/** A value, or a promise of one. */
export type MaybePromise<T> = T | PromiseLike<T>

/** A store that is measured: a backend, or the raw driver below one. */
export interface Subject {
  /** Returns whatever is stored under `key`, or undefined or null if there is nothing. */
  get (key: string): MaybePromise<unknown>
  set (key: string, value: Buffer): MaybePromise<unknown>
  delete (key: string): MaybePromise<unknown>
  /** Returns the bytes in a result of `get`. */
  bytesOf (found: unknown): Uint8Array
  /** Returns the number of bytes that all entries take according to the store, if the store reports it. */
  storedBytes? (): MaybePromise<number | undefined>
  close (): MaybePromise<unknown>
}

/** Says how a child process opens a subject. */
export interface SubjectChoice {
  /** The URL of a module that exports `open(options): Promise<Subject>`. */
  readonly moduleUrl: string
  readonly options: unknown
}

/** The lifetime of entries. It is far longer than a run, but the entries that a killed run leaves behind still expire. */
export const LIFE_MS = 15 * 60_000

export function isLater<T> (value: MaybePromise<T>): value is PromiseLike<T> {
  return (value as PromiseLike<T> | undefined | null)?.then !== undefined
}
