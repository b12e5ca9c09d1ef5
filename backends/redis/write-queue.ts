// Sends the writes of the write queue. Each set carries a time of the server's clock, after which the server refuses the set. So a set that
// has timed out can't take effect later, on any connection.
import type { Commands } from './commands.js'
import { failure, isReply, isTooLarge } from './errors.js'
import type { Replicas } from './replicas.js'
import { SET, type Script, type ScriptArguments, type Send } from './scripts.js'
import type { SizeLimit } from './size-limit.js'

const LONG_AGO = 0
const TOO_LATE = 0

interface Ahead { readonly leastMs: number, readonly mostMs: number }

/** A script that stores bytes unless it arrives too late. The script is SET, or takes the arguments of SET and then `more`. */
export interface TimedScript {
  readonly script: Script
  readonly bytes: Buffer
  readonly lifeMs: number
  readonly more?: ReadonlyArray<string | number | Buffer>
}

/** The parts of the backend that writes use. */
export interface TimedWritesParts {
  readonly sizeLimit: SizeLimit
  readonly replicas: Replicas
}

/** Sends writes. The write queue keeps them in order: the next write to a key begins when the previous one has settled. */
export class TimedWrites {
  /** The number of sets that arrived too late and were refused. */
  refused = 0
  readonly #commands: Commands
  readonly #replicas: Replicas
  /** The least and the most that the server's clock may be ahead of `performance.now()`. Undefined if the server must be asked. */
  #ahead: Ahead | undefined
  #asking: Promise<Ahead> | undefined
  #mayLearn = true

  readonly #sizeLimit: SizeLimit

  constructor (commands: Commands, { sizeLimit, replicas }: TimedWritesParts) {
    this.#commands = commands
    this.#sizeLimit = sizeLimit
    this.#replicas = replicas
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
    await this.#commands.run((client) => this.#replicas.send(client, (to) => to.unlink(stored)))
  }

  /** Deletes several keys with one command, or in a Cluster with one command for each key. */
  async removeAll (stored: readonly string[]): Promise<void> {
    if (stored.length === 0) return
    await this.#commands.run<unknown>((client) => client.nodes === undefined
      ? this.#replicas.send(client, (to) => to.unlink(...stored))
      : Promise.all(stored.map((key) => client.unlink(key))))
  }

  /** Called when a walk over all nodes of a Cluster has deleted its keys: if the walk itself rejected, it would be repeated. */
  async confirmRemovals (): Promise<void> {
    await this.#replicas.confirmNodes()
  }

  /** Stores bytes for `lifeMs`. If this call rejects, it can't store them later either. Returns the number that the script returned. */
  async store (stored: string, { script, bytes, lifeMs, more = [] }: TimedScript): Promise<number> {
    // If we were wrong about the server's clock, the response to the first attempt has corrected that.
    for (let attempts = 0; attempts < 2; attempts++) {
      const sentAt = performance.now()
      const until = sentAt + this.#commands.timeoutMs
      // If the server's clock is not known yet, `#ask` finds it out, with a set that is always refused.
      const { leastMs, mostMs } = this.#ahead ?? await (this.#asking ??= this.#ask(stored))
      // The expiry time on the server's clock, rounded so that it is never too early. The value contains the exact expiry time.
      const expiresAt = Math.min(Math.ceil(sentAt + mostMs + lifeMs), Number.MAX_SAFE_INTEGER)
      const { outcome } = await this.#run(script, [stored, bytes, expiresAt, Math.floor(until + leastMs), ...more], until)
      if (outcome !== TOO_LATE) return outcome
    }
    this.refused++
    throw failure('ELATE', 'the entry arrived too late to be stored')
  }

  /** Sends a command that replicas confirm, if that is wanted. */
  readonly #sendConfirmed: Send = (command) => this.#commands.run((client) => this.#replicas.send(client, command))

  async #ask (stored: string): Promise<Ahead> {
    try {
      return (await this.#run(SET, [stored, '', LONG_AGO, LONG_AGO], LONG_AGO)).ahead
    } finally {
      this.#asking = undefined
    }
  }

  /** Returns what the script returned. Without a response, rejects only after `until`, when nothing can be stored any more. */
  async #run (script: Script, args: ScriptArguments, until: number): Promise<{ outcome: number, ahead: Ahead }> {
    const askedAt = performance.now()
    try {
      // The clock is asked for without replicas, and they need not confirm what can be made again.
      const send = script === SET && until !== LONG_AGO ? this.#sendConfirmed : this.#commands.send
      const [outcome, serverNow] = await this.#commands.scripts.run(script, args, send) as [unknown, unknown]
      const ahead = this.#ahead = { leastMs: Number(serverNow) - performance.now(), mostMs: Number(serverNow) + 1 - askedAt }
      return { outcome: Number(outcome), ahead }
    } catch (error) {
      if (isTooLarge(error)) this.#sizeLimit.learn((args[1] as Buffer).length)
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
