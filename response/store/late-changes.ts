// Changes that missed their deadline and have not settled. Each may still take effect, so the next change of the same key waits for it.
import { noop } from '../../registry/maybe-promise.js'

/** With this many late changes, the backend is considered too slow, and no more fills are stored. */
export const MANY_LATE = 16

/** The late changes of one backend. */
export class LateChanges {
  readonly #byKey = new Map<string, Promise<unknown>>()
  /** The late changes by key. Each promise resolves when its change settles, even if the change fails. */
  readonly byKey: ReadonlyMap<string, Promise<unknown>> = this.#byKey

  /** Returns the late changes of all keys that begin with `prefix`. */
  under (prefix: string): Array<Promise<unknown>> {
    return [...this.#byKey].filter(([key]) => key.startsWith(prefix)).map(([, settled]) => settled)
  }

  /** Remembers a late change until it settles. */
  note (key: string, change: Promise<unknown>): void {
    const settled = change.then(noop, noop).then(() => { if (this.#byKey.get(key) === settled) this.#byKey.delete(key) })
    this.#byKey.set(key, settled)
  }
}
