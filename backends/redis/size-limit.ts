// The largest value that is sent: a server ends the connection of one that it doesn't take, and with it what others have under way there.
import { refusal } from '../../registry/refusal.js'
import type { Commands } from './commands.js'
import { failure, type Failure } from './errors.js'

// The least that `proto-max-bulk-len` can be set to: up to here nothing needs to be asked.
const ANY_SERVER_TAKES_BYTES = 1024 * 1024

/** Values that may be sent. */
export class SizeLimit {
  /** Values that were not. */
  refused = 0
  readonly #commands: Commands
  readonly #maxBytes: number
  /** What may be sent as far as is known without asking. */
  #ownBytes: number
  #bytes: Promise<number> | undefined

  constructor (commands: Commands, maxBytes: number) {
    this.#commands = commands
    this.#maxBytes = this.#ownBytes = maxBytes
  }

  /** Why a value of so many bytes is not sent; undefined where it may be. */
  async refuses (bytes: number): Promise<Failure | undefined> {
    const most = bytes > this.#ownBytes || bytes <= ANY_SERVER_TAKES_BYTES ? this.#ownBytes : await (this.#bytes ??= this.#ask())
    if (bytes <= most) return undefined
    this.refused++
    const limit = most < this.#maxBytes ? "the server's proto-max-bulk-len" : 'redis.maxValueBytes'
    return refusal(failure('ETOOLARGE',
      `a value of ${bytes} bytes is not sent: ${limit} allows ${most}; raise that, or lower maxBodyBytes of the route`))
  }

  /** The server has ended the connection over a value of so many bytes: there may have been no right to ask. */
  learn (bytes: number): void {
    this.#ownBytes = Math.min(this.#ownBytes, Math.max(bytes - 1, ANY_SERVER_TAKES_BYTES))
    this.forget()
  }

  /** What was asked may be another server's by now, or was changed since. */
  forget (): void {
    this.#bytes = undefined
  }

  /** A user without the right to ask, or a service that has no CONFIG, leaves the option alone to say it. */
  async #ask (): Promise<number> {
    const answer = await this.#commands.run(async (client) => await client.config?.('GET', 'proto-max-bulk-len')).catch(() => undefined)
    const told = Number(Array.isArray(answer) ? answer[1] : NaN)
    return Math.min(this.#ownBytes, told > 0 ? told : Infinity)
  }
}
