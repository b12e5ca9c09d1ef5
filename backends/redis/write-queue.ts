// What redis adds to the write queue: how a write is sent. A set carries the instant, on the server's clock, after which the server refuses
// it, so once a set has timed out it can't take effect any more, on any connection.
import type { StoredEntry } from '../../registry/backend.js'
import { encodeValue } from './codec.js'
import type { Commands } from './commands.js'
import { failure, isReply, isTooLarge } from './errors.js'
import type { SizeLimit } from './size-limit.js'

// One key only, as a Cluster requires. Returns whether it was stored, and the server's clock.
const SET = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if now >= tonumber(ARGV[3]) then return {0, now} end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
return {1, now}`

const LONG_AGO = 0

interface Ahead { readonly leastMs: number, readonly mostMs: number }

/** Writes on their way. They are ordered by the write queue: the next write of a key begins when the one before has settled. */
export class TimedWrites {
  /** Sets that arrived too late and were refused. */
  refused = 0
  readonly #commands: Commands
  /** Bounds for the server's clock minus `performance.now()`; undefined if the server must be asked. */
  #ahead: Ahead | undefined
  #asking: Promise<Ahead> | undefined
  #mayLearn = true

  readonly #sizeLimit: SizeLimit

  constructor (commands: Commands, sizeLimit: SizeLimit) {
    this.#commands = commands
    this.#sizeLimit = sizeLimit
  }

  /** Asks for the server's clock if it is not known, so that the next set is sent at once. Ignores failures. */
  learn (stored: string): void {
    if (!this.#mayLearn) return
    this.#mayLearn = false
    this.#asking ??= this.#ask(stored)
    this.#asking.catch(() => {})
  }

  /** Deletes `stored`. A delete that failed may still take effect later, which can only lose an entry. */
  async remove (stored: string): Promise<void> {
    await this.#commands.run((client) => client.unlink(stored))
  }

  /** Deletes several keys: in one command, or in one each in a Cluster. */
  async removeAll (stored: readonly string[]): Promise<void> {
    if (stored.length === 0) return
    await this.#commands.run<unknown>((client) =>
      client.nodes === undefined ? client.unlink(...stored) : Promise.all(stored.map((key) => client.unlink(key))))
  }

  /** Stores `entry` for `lifeMs`. After a rejection, this call can't store the entry any more. */
  async store (stored: string, entry: StoredEntry, lifeMs: number): Promise<void> {
    const bytes = encodeValue(entry)
    // The second attempt is for a wrong idea of the server's clock, which the first response has corrected.
    if (await this.#send(stored, bytes, lifeMs) || await this.#send(stored, bytes, lifeMs)) return
    this.refused++
    throw failure('ELATE', 'the entry arrived too late to be stored')
  }

  async #send (stored: string, bytes: Buffer, lifeMs: number): Promise<boolean> {
    const sentAt = performance.now()
    const until = sentAt + this.#commands.timeoutMs
    // At first the clock is not known. A set that is refused returns it.
    const { leastMs, mostMs } = this.#ahead ?? await (this.#asking ??= this.#ask(stored))
    // The expiry by the server's clock, never too early. The exact one is in the value.
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

  /** Whether the server stored it. After a rejection it has not, and after `until` it never will. */
  async #set (stored: string, values: [Buffer | string, number, number], until: number): Promise<{ isStored: boolean, ahead: Ahead }> {
    const askedAt = performance.now()
    try {
      const [isStored, serverNow] = (await this.#commands.run((client) => client.eval(SET, 1, stored, ...values))) as [unknown, unknown]
      const ahead = this.#ahead = { leastMs: Number(serverNow) - performance.now(), mostMs: Number(serverNow) + 1 - askedAt }
      return { isStored: Number(isStored) === 1, ahead }
    } catch (error) {
      if (isTooLarge(error)) this.#sizeLimit.learn(values[0].length)
      if (!isReply(error)) {
        // The next response may come from another server.
        this.#sizeLimit.forget()
        this.#ahead = undefined
        this.#mayLearn = true
        await this.#commands.until(until)
      }
      throw error
    }
  }
}
