// Changes that missed their deadline and have not settled: one may still come to pass, so the next one of its key waits for it.
import { noop } from '../../registry/maybe-promise.js'

/** With so many under way a backend is behind, and no fill is begun. */
export const MANY_LATE = 16

/** The late changes of one backend. */
export class LateChanges {
  readonly #byKey = new Map<string, Promise<unknown>>()
  /** Those that are under way, by key; each settles, well in any case, with its change. */
  readonly byKey: ReadonlyMap<string, Promise<unknown>> = this.#byKey

  /** Those of all keys that begin with `prefix`. */
  under (prefix: string): Array<Promise<unknown>> {
    return [...this.#byKey].filter(([key]) => key.startsWith(prefix)).map(([, settled]) => settled)
  }

  /** `change` is late, and remembered until it settles. */
  note (key: string, change: Promise<unknown>): void {
    const settled = change.then(noop, noop).then(() => { if (this.#byKey.get(key) === settled) this.#byKey.delete(key) })
    this.#byKey.set(key, settled)
  }
}
