// Adapts an unstorage storage to a byte store. Throws if a driver returns an error instead of throwing it, or silently skips a delete.
import type { ByteStore, Listed } from '../../registry/byte-store/byte-store.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'
import type { Opened } from './driver.js'
import type { LentStorage } from './options.js'

const SECOND_MS = 1_000
const NAME = /^[0-9a-f]{64}$/
// The prefix of bytes that unstorage passes to drivers as text.
const BASE64 = 'base64:'
const NOTHING = Buffer.alloc(0)

// The names of the drivers that support lifetimes, and therefore remove expired items themselves.
const EXPIRING = ['redis', 'upstash', 'vercel-kv', 'cloudflare-kv-binding', 'cloudflare-kv-http', 'deno-kv', 'vercel-runtime-cache']

/** A store of bytes that uses a storage of unstorage. */
export class UnstorageStore implements ByteStore {
  readonly removesExpired: boolean
  readonly #storage: LentStorage
  readonly #end: () => Promise<void>
  readonly #prefix: string
  /** The name that was stored last. If a list of keys lacks it, the list is wrong. */
  #latest: string | undefined
  #closed = false

  constructor ({ storage, driver, close }: Opened, prefix: string) {
    this.#storage = storage
    this.#end = close
    this.#prefix = `${prefix}:`
    this.removesExpired = EXPIRING.includes(driver.name ?? '')
  }

  async get (name: string): Promise<Uint8Array | undefined> {
    return bytesOf(await this.#storage.getItemRaw(this.#prefix + name))
  }

  async set (name: string, bytes: Uint8Array, lifeMs: number): Promise<void> {
    const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    // The lifetime is rounded up to whole seconds, plus one, so that it is never 0 or too short. The exact expiry time is in the record.
    await this.#storage.setItemRaw(this.#prefix + name, value, { ttl: Math.ceil(lifeMs / SECOND_MS) + 1 })
    this.#latest = name
  }

  async delete (name: string): Promise<void> {
    if (this.#latest === name) this.#latest = undefined
    if (await this.#remove(name)) return
    // Either the driver did not remove the item, or the item was set again meanwhile. If it still has the same bytes after a second
    // removal, the driver did not remove it.
    const before = await this.get(name).catch(noBytes)
    if (await this.#remove(name)) return
    const after = await this.get(name).catch(noBytes)
    if (before === undefined || after === undefined || Buffer.compare(before, after) === 0) {
      throw failure('delete', 'the driver did not remove it')
    }
  }

  async * list (): AsyncGenerator<Listed, undefined> {
    const latest = this.#latest
    const keys = await this.#storage.getKeys(this.#prefix)
    const names = new Set(
      keys.filter((key) => key.startsWith(this.#prefix)).map((key) => key.slice(this.#prefix.length)).filter((name) => NAME.test(name)))
    if (latest !== undefined && !names.has(latest) && await this.#storage.hasItem(this.#prefix + latest)) {
      throw failure('list', 'the driver can not list its keys')
    }
    for (const name of names) yield { name }
    return undefined
  }

  async close (): Promise<void> {
    this.#closed = true
    await this.#end()
  }

  /** Removes an item. Returns whether it is gone. This has to be checked, because storages and some drivers don't report it. */
  async #remove (name: string): Promise<boolean> {
    if (this.#closed) throw new CACHE_ERR_CLOSED('unstorage.delete')
    await this.#storage.removeItem(this.#prefix + name)
    const isThere: unknown = await this.#storage.hasItem(this.#prefix + name)
    if (isThere instanceof Error) throw isThere
    return isThere === false
  }
}

const noBytes = (): undefined => {}

function failure (operation: string, why: string): Error {
  return new CACHE_ERR_BACKEND_FAILED('unstorage', operation, why)
}

/** Returns the bytes in a driver's result. Throws an error that a driver returns instead of throwing it, as for an unreadable file. */
function bytesOf (result: unknown): Uint8Array | undefined {
  if (result === undefined || result === null) return undefined
  if (result instanceof Error) throw result
  if (result instanceof Uint8Array) return result
  if (result instanceof ArrayBuffer) return new Uint8Array(result)
  if (typeof result === 'string' && result.startsWith(BASE64)) return Buffer.from(result.slice(BASE64.length), 'base64')
  return NOTHING
}
