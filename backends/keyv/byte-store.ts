// Adapts a Keyv adapter to a byte store. Records are base64 (some databases take only text without NUL), inside Keyv's own envelope.
import type { ByteStore, Listed } from '../../registry/byte-store/byte-store.js'
import { isRecord } from '../../registry/check.js'
import { AskedAdapter } from './adapter.js'
import type { LentKeyv, Settings } from './options.js'

const SECOND_MS = 1_000
// The longest lifetime. Memcached, for example, would treat a longer one as a date.
const LONGEST_TTL_MS = 30 * 86_400_000

const NAME = /[0-9a-f]{64}$/
const NOTHING = Buffer.alloc(0)

/** A store of bytes that uses a Keyv adapter. */
export class KeyvStore implements ByteStore {
  declare readonly list?: () => AsyncGenerator<Listed, undefined>
  readonly #adapter: AskedAdapter
  readonly #keyv: LentKeyv | undefined
  readonly #prefix: string

  constructor ({ adapter, keyv, prefix }: Settings) {
    this.#adapter = new AskedAdapter(adapter, { isOurs: keyv === undefined, namespace: prefix })
    this.#keyv = keyv
    const { namespace } = this.#adapter
    // The prefix has the same form as in Keyv, because adapters need this form to find the keys of a namespace.
    this.#prefix = namespace === undefined || namespace === prefix ? `${prefix}:` : `${namespace}:${prefix}:`
    if (this.#adapter.list !== undefined) this.list = () => this.#list()
  }

  get removesExpired (): boolean {
    return this.#adapter.removesExpired
  }

  async get (name: string): Promise<Uint8Array | undefined> {
    return await this.#bytesIn(await this.#adapter.get(this.#prefix + name))
  }

  async set (name: string, bytes: Uint8Array, lifeMs: number): Promise<void> {
    const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
    const sealed: unknown = this.#keyv === undefined ? JSON.stringify({ value }) : await this.#keyv.serializeData({ value })
    await this.#adapter.set(this.#prefix + name, sealed, ttlMsOf(lifeMs))
  }

  async delete (name: string): Promise<void> {
    await this.#adapter.delete(this.#prefix + name)
  }

  async close (): Promise<void> {
    await this.#adapter.close()
  }

  async * #list (): AsyncGenerator<Listed, undefined> {
    const items = this.#adapter.list!()
    try {
      for (;;) {
        const { done, value } = await items.next()
        if (done === true) return undefined
        const [key, sealed] = value
        const name = NAME.exec(key)?.[0]
        if (name !== undefined && key === this.#prefix + name) yield { name, bytes: await this.#bytesIn(sealed) ?? NOTHING }
      }
    } finally {
      await items.return?.()
    }
  }

  /** Returns the record in an adapter's result: undefined if there is none, or zero bytes if the result can't be read. */
  async #bytesIn (sealed: unknown): Promise<Uint8Array | undefined> {
    if (sealed === undefined || sealed === null) return undefined
    let data: unknown = sealed
    try {
      // If a result is not a string, the adapter has already parsed it.
      if (typeof sealed === 'string' || this.#keyv?.compression !== undefined) {
        data = this.#keyv === undefined ? JSON.parse(sealed as string) : await this.#keyv.deserializeData(sealed)
      }
    } catch {
      return NOTHING
    }
    if (data === undefined || data === null) return undefined
    const value = isRecord(data) ? data.value : NOTHING
    // For a missing key, an adapter may return an envelope without a value.
    if (value === undefined || value === null) return undefined
    return typeof value === 'string' ? Buffer.from(value, 'base64') : NOTHING
  }
}

/**
 * Returns the lifetime to pass to the adapter: `lifeMs`, rounded up to whole seconds, plus one second. The extra second is needed because
 * stores count in seconds, some of them up to one too few, and 0 would mean forever. The exact expiry time is in the record.
 */
export function ttlMsOf (lifeMs: number): number {
  return Math.min((Math.ceil(lifeMs / SECOND_MS) + 1) * SECOND_MS, LONGEST_TTL_MS)
}
