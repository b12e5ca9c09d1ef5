// The class of the Redis backend. It stores each entry under one key, and reads or writes it with one command.
import type { BackendStats, CacheBackend, Claim, ClaimOptions, ClearOptions, Settlement, StoredEntry } from '../../registry/backend.js'
import { matchesGlob } from '../../registry/glob.js'
import { WriteQueue, type Write } from '../../registry/write-queue.js'
import type { BackendContext } from '../../registry/registry.js'
import { CommandBatch } from './command-batch.js'
import type { Commands } from './commands.js'
import { TimedWrites } from './write-queue.js'
import {
  decodeValue, encodeValue, expiryOf, HEADER_BYTES, isVersion, keyOf, RECORD_BYTES, storedInstant, storedPrefix, storedText, versionText
} from './codec.js'
import { Leases } from './leases.js'
import { Replicas } from './replicas.js'
import { SET, VERSION } from './scripts.js'
import { walk } from './scan.js'
import { SizeLimit } from './size-limit.js'
import type { Settings } from './options.js'
import { ReadBatch } from './read-batch.js'

/** A backend that stores its entries in a server or a Cluster, under keys that begin with its prefix. */
export class RedisBackend implements CacheBackend {
  readonly #commands: Commands
  readonly #writes: TimedWrites
  readonly #sizeLimit: SizeLimit
  readonly #leases: Leases
  readonly #queue = new WriteQueue<Write>({ carryOut: (write) => this.#carryOut(write) })
  readonly #reads: ReadBatch<StoredEntry | undefined>
  readonly #prefix: string
  readonly #now: () => number
  #foreign = 0

  constructor (commands: Commands, { prefix, maxValueBytes, waitReplicas }: Settings, { now }: BackendContext) {
    this.#commands = commands
    this.#sizeLimit = new SizeLimit(commands, maxValueBytes)
    const batch = new CommandBatch(commands)
    this.#writes = new TimedWrites(commands, { sizeLimit: this.#sizeLimit, replicas: new Replicas(commands, waitReplicas) })
    this.#leases = new Leases({ commands, batch, writes: this.#writes, sizeLimit: this.#sizeLimit, now })
    this.#reads = new ReadBatch(commands, batch, { found: this.#entry, failed: this.#nothing })
    this.#prefix = prefix
    this.#now = now
  }

  get (key: string): Promise<StoredEntry | undefined> {
    const stored = this.#stored(key)
    this.#writes.learn(stored)
    return this.#reads.get(stored)
  }

  async getMany (keys: readonly string[]): Promise<Array<StoredEntry | undefined>> {
    // Each key is read with its own command, because in a Cluster the keys are on several nodes.
    return await Promise.all(keys.map((key) => this.get(key)))
  }

  async has (key: string): Promise<boolean> {
    return await this.#isLive(this.#stored(key))
  }

  async set (key: string, entry: StoredEntry): Promise<void> {
    this.#commands.client()
    const expiresAt = storedInstant(entry.expiresAt)
    if (!(expiresAt > this.#now())) return await this.delete(key)
    await this.#queue.put({ key, entry: { value: entry.value, expiresAt } })
  }

  async delete (key: string): Promise<void> {
    await this.#queue.put({ key, entry: undefined })
  }

  async clear (prefix = '', { onProgress }: ClearOptions = {}): Promise<void> {
    // If a key has a pending write, this deletes the key after that write, which may take effect only after the walk.
    await Promise.all(this.#queue.keys(prefix).map((key) => this.delete(key)))
    await this.#walk(prefix, async (keys) => {
      const meant = keys.filter((key) => key.startsWith(prefix))
      // Keys with pending writes are deleted one by one, after those writes. All others are deleted together.
      const together = meant.filter((key) => !this.#queue.has(key)).map((key) => this.#stored(key))
      await Promise.all([this.#writes.removeAll(together), ...meant.filter((key) => this.#queue.has(key)).map((key) => this.delete(key))])
      onProgress?.(meant.length)
    })
    await this.#writes.confirmRemovals()
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
    // The head of each key is read, because a key that has only been claimed has no entry.
    return (await this.keys()).length
  }

  claim (key: string, options: ClaimOptions): Promise<Claim> {
    return this.#leases.claim(this.#stored(key), options)
  }

  settle (key: string, token: string, settlement: Settlement): Promise<boolean> {
    return this.#leases.settle(this.#stored(key), token, settlement)
  }

  async version (name: string, raise = false): Promise<number> {
    const key = this.#prefix + versionText(name)
    return Number(await this.#commands.scripts.run(VERSION, [key, raise ? 1 : 0], this.#commands.send))
  }

  /** Returns only the figures that are known without a command, because the server can't count only our keys. */
  stats (): BackendStats {
    const refusedWrites = this.#writes.refused + this.#sizeLimit.refused
    return { foreignValues: this.#foreign, timeouts: this.#commands.timeouts, refusedWrites }
  }

  close (): void {
    this.#commands.close()
  }

  async #carryOut ({ key, entry }: Write): Promise<void> {
    const stored = this.#stored(key)
    if (entry === undefined) return await this.#writes.remove(stored)
    const refusal = await this.#sizeLimit.refuses(entry.value.byteLength + HEADER_BYTES)
    const lifeMs = entry.expiresAt - this.#now()
    if (refusal === undefined && lifeMs > 0) await this.#writes.store(stored, { script: SET, bytes: encodeValue(entry), lifeMs })
    // The new entry is not stored, but the old one is out of date and must be deleted.
    else await this.#writes.remove(stored)
    if (refusal !== undefined) throw refusal
  }

  #stored (key: string): string {
    return this.#prefix + storedText(key)
  }

  readonly #entry = (bytes: Buffer | null): StoredEntry | undefined => {
    if (bytes === null) return undefined
    const entry = decodeValue(bytes)
    if (entry === undefined) this.#foreign++
    return entry !== undefined && entry.expiresAt > this.#now() ? entry : undefined
  }

  /** Handles the error of a read. A value of another type, such as a list, is not ours, so there is no entry. Throws other errors. */
  readonly #nothing = (error: { code?: unknown }): undefined => {
    if (error.code !== 'WRONGTYPE') throw error
    this.#foreign++
  }

  async #isLive (stored: string): Promise<boolean> {
    const header = await this.#commands.run((client) => client.getrangeBuffer(stored, 0, RECORD_BYTES - 1)).catch(this.#nothing)
    return header !== undefined && (expiryOf(header) ?? 0) > this.#now()
  }

  async #walk (prefix: string, look: (keys: string[]) => Promise<unknown>): Promise<void> {
    await walk(this.#commands, { prefix: this.#prefix, begin: storedPrefix(prefix) }, (stored) =>
      look(stored.filter((text) => !isVersion(text)).map(keyOf)))
  }
}
