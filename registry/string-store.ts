// Adapts a store of strings (get, set, delete, close, and lifetimes in seconds) to CacheBackend.
import type { CacheBackend, MaybePromise } from './backend.js'

/** A store that keeps strings under keys, each for a number of seconds. */
export interface StringStore {
  /** Returns the string under `key`. If there is none or it has expired, returns null or undefined. */
  get (key: string): MaybePromise<string | null | undefined>
  /** Stores `value` for `timeoutSeconds`, a positive integer. */
  set (key: string, value: string, timeoutSeconds: number): MaybePromise<unknown>
  /** Removes the string under `key`. Does nothing if there is none. */
  delete (key: string): MaybePromise<unknown>
  /** Closes everything that the store opened. */
  close (): MaybePromise<unknown>
}

const SEPARATOR = ' '

/**
 * Returns a backend that uses a store of strings. Each string is the expiry time in epoch milliseconds, a space, and the value in base64.
 * Any other string is a miss. The store receives lifetimes rounded up to seconds, but no entry is returned after it has expired.
 */
export function fromStringStore (store: StringStore, { now = Date.now }: { now?: () => number } = {}): CacheBackend {
  return {
    async get (key) {
      const text = await store.get(key)
      if (typeof text !== 'string') return undefined
      const separatorAt = text.indexOf(SEPARATOR)
      const expiresAt = Number(text.slice(0, separatorAt))
      if (separatorAt <= 0 || !Number.isSafeInteger(expiresAt) || expiresAt <= now()) return undefined
      return { value: Buffer.from(text.slice(separatorAt + 1), 'base64'), expiresAt }
    },
    async set (key, { value, expiresAt }) {
      const lifeMs = expiresAt - now()
      if (!(lifeMs > 0)) {
        await store.delete(key)
        return
      }
      const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      await store.set(key, `${Math.floor(expiresAt)}${SEPARATOR}${bytes.toString('base64')}`, Math.ceil(lifeMs / 1_000))
    },
    async delete (key) { await store.delete(key) },
    async close () { await store.close() }
  }
}
