// Changes that missed their deadline and have not settled: one may still come to pass, so the next one of its key waits for it.
import { noop } from '../later.js'

/** Of those that nobody waits for: a backend that is behind is given no more. */
const MOST = 16

/** The late changes of one backend. */
export class Late {
  readonly #byKey = new Map<string, Promise<unknown>>()

  /** Whether there are so many that no fill is begun. */
  get areMany (): boolean {
    return this.#byKey.size >= MOST
  }

  /** Settles, well in any case, with the late change of `key`; undefined when there is none. */
  of (key: string): Promise<unknown> | undefined {
    return this.#byKey.get(key)
  }

  /** So for all keys that begin with `prefix`. */
  under (prefix: string): Array<Promise<unknown>> {
    return [...this.#byKey].filter(([key]) => key.startsWith(prefix)).map(([, settled]) => settled)
  }

  /** `change` is late, and remembered until it settles. */
  note (key: string, change: Promise<unknown>): void {
    const settled = change.then(noop, noop).then(() => { if (this.#byKey.get(key) === settled) this.#byKey.delete(key) })
    this.#byKey.set(key, settled)
  }
}
