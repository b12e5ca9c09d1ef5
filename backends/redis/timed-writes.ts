// Changes as they are sent. One settles when it has come to pass or never can: a set carries the instant, on the server's clock,
// after which the server itself refuses it, however late it arrives and by whichever connection.
import type { StoredEntry } from '../../registry/backend.js'
import { encodeValue } from './codec.js'
import type { Commands } from './commands.js'
import { failure, isAnswer, isTooLarge } from './errors.js'
import type { SizeLimit } from './size-limit.js'

// One key, which a Cluster asks for. Returns whether it was stored, and the server's clock.
const SET = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if now >= tonumber(ARGV[3]) then return {0, now} end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
return {1, now}`

const LONG_AGO = 0

interface Ahead { readonly leastMs: number, readonly mostMs: number }

/** Changes on their way. Their order is made elsewhere: the next one of a key begins when the one before has settled. */
export class TimedWrites {
  /** Sets that arrived too late and were refused. */
  refused = 0
  readonly #commands: Commands
  /** The server's clock less ours, as `performance.now()` tells it, in bounds; undefined when it must be asked for. */
  #ahead: Ahead | undefined
  #asking: Promise<Ahead> | undefined
  #mayLearn = true

  readonly #sizeLimit: SizeLimit

  constructor (commands: Commands, sizeLimit: SizeLimit) {
    this.#commands = commands
    this.#sizeLimit = sizeLimit
  }

  /** Asks for the server's clock when it is not known, so that a set that follows is sent at once. Of no effect when that fails. */
  learn (stored: string): void {
    if (!this.#mayLearn) return
    this.#mayLearn = false
    this.#asking ??= this.#ask(stored)
    this.#asking.catch(() => {})
  }

  /** Forgets what is stored as `stored`. One that failed may yet come to pass, which costs an entry at most. */
  async remove (stored: string): Promise<void> {
    await this.#commands.run((client) => client.unlink(stored))
  }

  /** Forgets several together: in one command, or in one each where they lie on several nodes. */
  async removeAll (stored: readonly string[]): Promise<void> {
    if (stored.length === 0) return
    await this.#commands.run<unknown>((client) =>
      client.nodes === undefined ? client.unlink(...stored) : Promise.all(stored.map((key) => client.unlink(key))))
  }

  /** Stores `entry` for `lifeMs`. When it has rejected, the entry is not stored any more by this call. */
  async store (stored: string, entry: StoredEntry, lifeMs: number): Promise<void> {
    const bytes = encodeValue(entry)
    // Once more when our idea of the server's clock was wrong: its answer brought a right one.
    if (await this.#send(stored, bytes, lifeMs) || await this.#send(stored, bytes, lifeMs)) return
    this.refused++
    throw failure('ELATE', 'the entry arrived too late to be stored')
  }

  async #send (stored: string, bytes: Buffer, lifeMs: number): Promise<boolean> {
    const sentAt = performance.now()
    const until = sentAt + this.#commands.timeoutMs
    // The first time nothing is known of the clock: a set that is refused tells it.
    const { leastMs, mostMs } = this.#ahead ?? await (this.#asking ??= this.#ask(stored))
    // The instant by the server's clock, never too early: the one in the value is what counts.
    const expiresAt = Math.min(Math.ceil(sentAt + mostMs + lifeMs), Number.MAX_SAFE_INTEGER)
    const { isStored } = await this.#set(stored, [bytes, expiresAt, Math.floor(until + leastMs)], until)
    return isStored
  }

  async #ask (stored: string): Promise<Ahead> {
    try {
      return (await this.#set(stored, ['', LONG_AGO, LONG_AGO], LONG_AGO)).ahead
    } finally {
      this.#asking = undefined
    }
  }

  /** Whether the server stored it. When this rejects, it has not, and after `until` it never will. */
  async #set (stored: string, values: [Buffer | string, number, number], until: number): Promise<{ isStored: boolean, ahead: Ahead }> {
    const askedAt = performance.now()
    try {
      const [isStored, serverNow] = (await this.#commands.run((client) => client.eval(SET, 1, stored, ...values))) as [unknown, unknown]
      const ahead = this.#ahead = { leastMs: Number(serverNow) - performance.now(), mostMs: Number(serverNow) + 1 - askedAt }
      return { isStored: Number(isStored) === 1, ahead }
    } catch (error) {
      if (isTooLarge(error)) this.#sizeLimit.learn(values[0].length)
      if (!isAnswer(error)) {
        // The next answer may be another server's.
        this.#sizeLimit.forget()
        this.#ahead = undefined
        this.#mayLearn = true
        await this.#commands.until(until)
      }
      throw error
    }
  }
}
