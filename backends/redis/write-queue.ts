// Sends the writes of the write queue. Each set carries a time of the server's clock, after which the server refuses the set. So a set that
// has timed out can't take effect later, on any connection.
import type { StoredEntry } from '../../registry/backend.js'
import { encodeValue } from './codec.js'
import type { Commands } from './commands.js'
import { failure, isReply, isTooLarge } from './errors.js'
import type { SizeLimit } from './size-limit.js'

// The script of a set. It uses only one key, as a Cluster requires. It returns whether the value was stored, and the server's time.
const SET = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if now >= tonumber(ARGV[3]) then return {0, now} end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
return {1, now}`

const LONG_AGO = 0

interface Ahead { readonly leastMs: number, readonly mostMs: number }

/** Sends writes. The write queue keeps them in order: the next write to a key begins when the previous one has settled. */
export class TimedWrites {
  /** The number of sets that arrived too late and were refused. */
  refused = 0
  readonly #commands: Commands
  /** The least and the most that the server's clock may be ahead of `performance.now()`. Undefined if the server must be asked. */
  #ahead: Ahead | undefined
  #asking: Promise<Ahead> | undefined
  #mayLearn = true

  readonly #sizeLimit: SizeLimit

  constructor (commands: Commands, sizeLimit: SizeLimit) {
    this.#commands = commands
    this.#sizeLimit = sizeLimit
  }

  /** Asks the server for its time if it is not known, so that the next set need not wait for it. Ignores failures. */
  learn (stored: string): void {
    if (!this.#mayLearn) return
    this.#mayLearn = false
    this.#asking ??= this.#ask(stored)
    this.#asking.catch(() => {})
  }

  /** Deletes the key `stored`. A delete that failed may still take effect later, but it can only remove an entry. */
  async remove (stored: string): Promise<void> {
    await this.#commands.run((client) => client.unlink(stored))
  }

  /** Deletes several keys with one command, or in a Cluster with one command for each key. */
  async removeAll (stored: readonly string[]): Promise<void> {
    if (stored.length === 0) return
    await this.#commands.run<unknown>((client) =>
      client.nodes === undefined ? client.unlink(...stored) : Promise.all(stored.map((key) => client.unlink(key))))
  }

  /** Stores `entry` for `lifeMs`. If this call rejects, it can't store the entry later either. */
  async store (stored: string, entry: StoredEntry, lifeMs: number): Promise<void> {
    const bytes = encodeValue(entry)
    // If we were wrong about the server's clock, the response to the first attempt has corrected that.
    if (await this.#send(stored, bytes, lifeMs) || await this.#send(stored, bytes, lifeMs)) return
    this.refused++
    throw failure('ELATE', 'the entry arrived too late to be stored')
  }

  async #send (stored: string, bytes: Buffer, lifeMs: number): Promise<boolean> {
    const sentAt = performance.now()
    const until = sentAt + this.#commands.timeoutMs
    // If the server's clock is not known yet, `#ask` finds it out, with a set that is always refused.
    const { leastMs, mostMs } = this.#ahead ?? await (this.#asking ??= this.#ask(stored))
    // The expiry time on the server's clock, rounded so that it is never too early. The value contains the exact expiry time.
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

  /** Returns whether the server stored the value. Without a response, rejects only after `until`, when it can't be stored any more. */
  async #set (stored: string, values: [Buffer | string, number, number], until: number): Promise<{ isStored: boolean, ahead: Ahead }> {
    const askedAt = performance.now()
    try {
      const [isStored, serverNow] = (await this.#commands.run((client) => client.eval(SET, 1, stored, ...values))) as [unknown, unknown]
      const ahead = this.#ahead = { leastMs: Number(serverNow) - performance.now(), mostMs: Number(serverNow) + 1 - askedAt }
      return { isStored: Number(isStored) === 1, ahead }
    } catch (error) {
      if (isTooLarge(error)) this.#sizeLimit.learn(values[0].length)
      if (!isReply(error)) {
        // The connection may be lost, and the next response may come from another server.
        this.#sizeLimit.drop()
        this.#ahead = undefined
        this.#mayLearn = true
        await this.#commands.until(until)
      }
      throw error
    }
  }
}
