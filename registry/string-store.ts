// Adapts a store of strings (get, set, delete, close, and lifetimes in seconds) to CacheBackend.
import type { CacheBackend, MaybePromise } from './backend.js'

/** A store as the guide writes it: text under a key for a number of seconds. */
export interface StringStore {
  /** The text under `key`; null or undefined if missing or expired. */
  get (key: string): MaybePromise<string | null | undefined>
  /** Stores `value` for `timeoutSeconds`, a positive integer. */
  set (key: string, value: string, timeoutSeconds: number): MaybePromise<unknown>
  /** Removes `key`; no error if there is nothing. */
  delete (key: string): MaybePromise<unknown>
  /** Releases what the store opened. */
  close (): MaybePromise<unknown>
}

const SEPARATOR = ' '

/**
 * A backend on a store of strings. The expiry, in epoch milliseconds, precedes the value, which is base64. Lifetimes are rounded up to
 * seconds for the store, but no entry is returned after its expiry. A text that is not ours is a miss.
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
