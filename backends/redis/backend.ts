// The Redis backend itself: an entry under one key, read and written in one command.
import type { BackendStats, CacheBackend, StoredEntry } from '../../registry/backend.js'
import { matchesGlob } from '../../registry/glob.js'
import type { BackendContext } from '../../registry/registry.js'
import type { Calls } from './calls.js'
import { Changes } from './changes.js'
import { keyOf, storedKey, storedPrefix } from './keys.js'
import { walk } from './listing.js'
import type { Settings } from './options.js'
import { expiryOf, HEADER_BYTES, unpack } from './value.js'

/** A backend on the keys of a server, or a Cluster, that begin with its prefix. */
export class RedisBackend implements CacheBackend {
  readonly #calls: Calls
  readonly #changes: Changes
  readonly #prefix: string
  readonly #now: () => number
  #foreign = 0

  constructor (calls: Calls, { prefix }: Settings, { now }: BackendContext) {
    this.#calls = calls
    this.#changes = new Changes(calls)
    this.#prefix = prefix
    this.#now = now
  }

  async get (key: string): Promise<StoredEntry | undefined> {
    const bytes = await this.#bytes(this.#stored(key), false)
    if (bytes === undefined) return undefined
    const entry = unpack(bytes)
    if (entry === undefined) this.#foreign++
    return entry !== undefined && entry.expiresAt > this.#now() ? entry : undefined
  }

  async getMany (keys: readonly string[]): Promise<Array<StoredEntry | undefined>> {
    // One by one, since in a Cluster they lie on several nodes; the driver sends them together.
    return await Promise.all(keys.map((key) => this.get(key)))
  }

  async has (key: string): Promise<boolean> {
    return await this.#isLive(this.#stored(key))
  }

  async set (key: string, entry: StoredEntry): Promise<void> {
    this.#calls.client()
    const stored = this.#stored(key)
    await this.#changes.inOrder(key, async () => {
      const expiresAt = Math.min(Math.floor(entry.expiresAt), Number.MAX_SAFE_INTEGER)
      const lifeMs = expiresAt - this.#now()
      if (lifeMs > 0) await this.#changes.store(stored, { value: entry.value, expiresAt }, lifeMs)
      else await this.#changes.remove(stored)
    })
  }

  async delete (key: string): Promise<void> {
    await this.#changes.inOrder(key, () => this.#changes.remove(this.#stored(key)))
  }

  async clear (prefix = ''): Promise<void> {
    await this.#changes.settled(prefix)
    await this.#walk(prefix, async (keys) => {
      await Promise.all(keys.filter((key) => key.startsWith(prefix)).map((key) => this.delete(key)))
    })
  }

  async keys (pattern = '*'): Promise<string[]> {
    const found = new Set<string>()
    await this.#walk(pattern.slice(0, pattern.search(/[*?]|$/)), async (keys) => {
      await Promise.all(keys.map(async (key) => {
        if (matchesGlob(pattern, key) && await this.#isLive(this.#stored(key))) found.add(key)
      }))
    })
    return [...found]
  }

  async size (): Promise<number> {
    const found = new Set<string>()
    await this.#walk('', async (keys) => { for (const key of keys) found.add(key) })
    return found.size
  }

  /** What is known without asking: the server counts keys, but not whose they are. */
  stats (): BackendStats {
    return { foreignValues: this.#foreign, timeouts: this.#calls.timeouts, refusedWrites: this.#changes.refused }
  }

  close (): void {
    this.#calls.close()
  }

  #stored (key: string): string {
    return this.#prefix + storedKey(key)
  }

  /** The bytes of what is stored, or of its header alone; undefined when there is nothing, or something that has no bytes. */
  async #bytes (stored: string, onlyHeader: boolean): Promise<Buffer | undefined> {
    try {
      return await this.#calls.run((client) => onlyHeader ? client.getrangeBuffer(stored, 0, HEADER_BYTES - 1) : client.getBuffer(stored)) ?? undefined
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'WRONGTYPE') throw error
      this.#foreign++
      return undefined
    }
  }

  async #isLive (stored: string): Promise<boolean> {
    const header = await this.#bytes(stored, true)
    return header !== undefined && (expiryOf(header) ?? 0) > this.#now()
  }

  async #walk (prefix: string, look: (keys: string[]) => Promise<unknown>): Promise<void> {
    await walk(this.#calls, { prefix: this.#prefix, begin: storedPrefix(prefix) }, (stored) => look(stored.map(keyOf)))
  }
}
