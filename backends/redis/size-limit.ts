// Refuses values that are too large to be sent. If the server had to refuse one, it would close the connection with all its commands.
import type { MaybePromise } from '../../registry/backend.js'
import { refusal } from '../../registry/refusal.js'
import type { Commands } from './commands.js'
import { failure, type Failure } from './errors.js'

// The server's setting `proto-max-bulk-len` can't be less than this. For values up to this size, the setting need not be read.
const ANY_SERVER_TAKES_BYTES = 1024 * 1024

/** Decides which values may be sent. */
export class SizeLimit {
  /** How many values were refused. */
  refused = 0
  readonly #commands: Commands
  readonly #maxBytes: number
  /** The limit that is known without reading the server's setting. */
  #ownBytes: number
  #bytes: Promise<number> | undefined

  constructor (commands: Commands, maxBytes: number) {
    this.#commands = commands
    this.#maxBytes = this.#ownBytes = maxBytes
  }

  /** Returns an error if a value of this size is too large to be sent, or undefined if it may be sent. */
  refuses (bytes: number): MaybePromise<Failure | undefined> {
    if (bytes > this.#ownBytes || bytes <= ANY_SERVER_TAKES_BYTES) return this.#refusal(bytes, this.#ownBytes)
    return (this.#bytes ??= this.#ask()).then((most) => this.#refusal(bytes, most))
  }

  #refusal (bytes: number, most: number): Failure | undefined {
    if (bytes <= most) return undefined
    this.refused++
    const limit = most < this.#maxBytes ? "the server's proto-max-bulk-len" : 'redis.maxValueBytes'
    return refusal(failure('ETOOLARGE',
      `a value of ${bytes} bytes is not sent: ${limit} allows ${most}; raise that, or lower maxBodyBytes of the route`))
  }

  /** Called when the server has refused a value of this size. That can happen if its setting could not be read, for example. */
  learn (bytes: number): void {
    this.#ownBytes = Math.min(this.#ownBytes, Math.max(bytes - 1, ANY_SERVER_TAKES_BYTES))
    this.drop()
  }

  /** Drops the server's setting, so that it is read again. Called when it may have changed, or there may be another server now. */
  drop (): void {
    this.#bytes = undefined
  }

  /** Reads the server's setting, and returns the limit. If the client may not use CONFIG, the limit is our own. */
  async #ask (): Promise<number> {
    const result = await this.#commands.run(async (client) => await client.config?.('GET', 'proto-max-bulk-len')).catch(() => undefined)
    const told = Number(Array.isArray(result) ? result[1] : NaN)
    return Math.min(this.#ownBytes, told > 0 ? told : Infinity)
  }
}
