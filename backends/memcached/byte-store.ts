// Adapts Memcached to a byte store. Converts lifetimes to seconds, or to dates, which Memcached needs for long lifetimes.
import type { ByteStore } from '../../registry/byte-store/byte-store.js'
import { refusal } from '../../registry/refusal.js'
import type { Client, Opened } from './driver.js'

const SECOND_MS = 1_000
// The longest lifetime in seconds. Memcached would treat a greater number as a date.
const MOST_SECONDS = 30 * 86_400
const LATEST_DATE = 2 ** 31 - 1

// The server's error message for a value that is too large.
const TOO_LARGE = /object too large for cache/

const NOTHING = Buffer.alloc(0)

/** A byte store on a Memcached server. It has no `list`, because Memcached can't list its keys. */
export class MemcachedStore implements ByteStore {
  readonly removesExpired = true
  readonly #client: Client
  readonly #end: () => void
  readonly #prefix: string
  readonly #now: () => number

  constructor ({ client, close }: Opened, { prefix, now }: { prefix: string, now: () => number }) {
    this.#client = client
    this.#end = close
    this.#prefix = `${prefix}:`
    this.#now = now
  }

  async get (name: string): Promise<Uint8Array | undefined> {
    return bytesOf(await this.#client.get(this.#prefix + name))
  }

  async getMany (names: readonly string[]): Promise<Array<Uint8Array | undefined>> {
    if (names.length === 0) return []
    const keys = names.map((name) => this.#prefix + name)
    const found = await this.#client.get(keys)
    return keys.map((key) => bytesOf(found[key]))
  }

  async set (name: string, bytes: Uint8Array, lifeMs: number): Promise<void> {
    const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    try {
      await this.#client.set(this.#prefix + name, value, { lifetime: lifetimeOf(lifeMs, this.#now()) })
    } catch (error) {
      throw error instanceof Error && TOO_LARGE.test(error.message) ? refusal(error) : error
    }
  }

  async delete (name: string): Promise<void> {
    try {
      await this.#client.delete(this.#prefix + name)
    } catch (error) {
      if (!(error instanceof Error) || error.message !== 'NOT_FOUND') throw error
    }
  }

  close (): void {
    this.#end()
  }
}

function bytesOf (found: { readonly value: unknown } | undefined): Uint8Array | undefined {
  if (found === undefined) return undefined
  return found.value instanceof Uint8Array ? found.value : NOTHING
}

/**
 * Returns the lifetime to send, in whole seconds. It is one second longer than needed, because the server's current second may be about to
 * end. For more than 30 days, it is a date. It is never 0, which would mean forever.
 */
export function lifetimeOf (lifeMs: number, at: number): number {
  const seconds = Math.ceil(lifeMs / SECOND_MS) + 1
  if (seconds <= MOST_SECONDS) return seconds
  const date = Math.ceil(at / SECOND_MS) + seconds
  return date <= LATEST_DATE ? date : MOST_SECONDS
}
