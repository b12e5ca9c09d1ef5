// What is measured: anything that stores bytes under keys.

/** A value, or a promise of one. */
export type MaybePromise<T> = T | PromiseLike<T>

/** A store that is measured: a backend, or the raw driver below one. */
export interface Subject {
  /** What is stored under `key`; undefined or null if there is nothing. */
  get (key: string): MaybePromise<unknown>
  set (key: string, value: Buffer): MaybePromise<unknown>
  delete (key: string): MaybePromise<unknown>
  /** The bytes of what `get` returned. */
  bytesOf (found: unknown): Uint8Array
  /** The bytes of all entries according to the store, if it reports them. */
  storedBytes? (): MaybePromise<number | undefined>
  close (): MaybePromise<unknown>
}

/** How a child process opens a subject. */
export interface SubjectChoice {
  /** URL of a module that exports `open(options): Promise<Subject>`. */
  readonly moduleUrl: string
  readonly options: unknown
}

/** How long entries live: far longer than a run, but what a killed run leaves expires. */
export const LIFE_MS = 15 * 60_000

export function isLater<T> (value: MaybePromise<T>): value is PromiseLike<T> {
  return (value as PromiseLike<T> | undefined | null)?.then !== undefined
}
