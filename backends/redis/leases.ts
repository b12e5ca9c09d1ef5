// Claims and settlements. What they need to know lies in the head of the entry itself, so that whatever removes the entry makes all tokens
// for its key invalid: UNLINK, eviction, an earlier version of this package.
import { randomBytes } from 'node:crypto'
import type { Claim, ClaimOptions, Settlement, StoredEntry } from '../../registry/backend.js'
import { refusal } from '../../registry/refusal.js'
import { decodeValue, encodeRecord, RECORD_BYTES, storedInstant } from './codec.js'
import type { CommandBatch } from './command-batch.js'
import type { Commands } from './commands.js'
import { CLAIM, PROLONG, RELEASE, SETTLE, type Script, type ScriptArguments } from './scripts.js'
import type { SizeLimit } from './size-limit.js'
import { tokenOf, tokenText, type Token } from './tokens.js'
import type { TimedWrites } from './write-queue.js'

// As text, this is 8 characters. All arguments are text, because the driver sends bytes with much more work.
const EPOCH_BYTES = 6
/** Stands for text that is no token. No key has this epoch. */
const UNKNOWN: Token = { epoch: '', number: 0, deadline: 0 }
const [GIVEN, FOUND, STORED] = [1, 2, 1]

/** The parts of the backend that leases use. */
export interface LeaseParts {
  readonly commands: Commands
  readonly batch: CommandBatch
  readonly writes: TimedWrites
  readonly sizeLimit: SizeLimit
  readonly now: () => number
}

/**
 * Carries out claims and settlements, each with one script. They do not wait in the write queue, and may overtake a set or a delete of the
 * same key there. That does no harm: the later of the two leaves the key as it would have in the order of the calls, or the set or delete
 * makes the token invalid.
 */
export class Leases {
  readonly #commands: Commands
  readonly #batch: CommandBatch
  readonly #writes: TimedWrites
  readonly #sizeLimit: SizeLimit
  readonly #now: () => number

  constructor ({ commands, batch, writes, sizeLimit, now }: LeaseParts) {
    this.#commands = commands
    this.#batch = batch
    this.#writes = writes
    this.#sizeLimit = sizeLimit
    this.#now = now
  }

  async claim (stored: string, { leaseMs, fillMs, seen, token }: ClaimOptions): Promise<Claim> {
    if (token !== undefined) return await this.#prolong(stored, token, leaseMs)
    const [outcome, ...told] = await this.#run(CLAIM, [
      stored, this.#now(), Math.ceil(leaseMs), Math.ceil(fillMs), instantText(seen), randomBytes(EPOCH_BYTES).toString('base64url')
    ])
    if (Number(outcome) === FOUND) return { entry: decodeValue(told[0] as Buffer)! }
    if (Number(outcome) !== GIVEN) return { busyMs: Number(told[0]) }
    const [epoch, number, deadline] = told
    return { token: tokenText({ epoch: String(epoch), number: Number(number), deadline: Number(deadline) }) }
  }

  async settle (stored: string, text: string, { entry, replaces, aloneMs = 0 }: Settlement): Promise<boolean> {
    const token = tokenOf(text)
    if (token === undefined) return false
    const expiresAt = entry === undefined ? 0 : storedInstant(entry.expiresAt)
    if (entry === undefined || !(expiresAt > this.#now())) return await this.#release(stored, token, entry === undefined ? aloneMs : 0)
    const refused = await this.#sizeLimit.refuses(entry.value.byteLength + RECORD_BYTES)
    if (refused === undefined) return await this.#store(stored, token, { value: entry.value, expiresAt }, replaces)
    await this.#release(stored, token, 0)
    throw refused
  }

  async #prolong (stored: string, text: string, leaseMs: number): Promise<Claim> {
    const [outcome, busyMs] = await this.#run(PROLONG, [stored, ...valuesOf(tokenOf(text) ?? UNKNOWN), Math.ceil(leaseMs)])
    return Number(outcome) === GIVEN ? { token: text } : { busyMs: Number(busyMs) }
  }

  async #store (stored: string, token: Token, entry: StoredEntry, replaces: number | undefined): Promise<boolean> {
    const outcome = await orRefusal(this.#writes.store(stored, {
      script: SETTLE,
      bytes: encodeRecord(entry, token.epoch),
      lifeMs: entry.expiresAt - this.#now(),
      more: [...valuesOf(token), instantText(replaces), this.#now()]
    }))
    return outcome === STORED
  }

  async #release (stored: string, token: Token, aloneMs: number): Promise<false> {
    await this.#run(RELEASE, [stored, ...valuesOf(token), Math.ceil(aloneMs)])
    return false
  }

  async #run (script: Script, args: ScriptArguments): Promise<unknown[]> {
    return await orRefusal(this.#commands.run((client) => this.#commands.scripts.run(client, script, args, this.#batch.send))) as unknown[]
  }
}

function instantText (expiresAt: number | undefined): string {
  return expiresAt === undefined ? '' : String(storedInstant(expiresAt))
}

function valuesOf ({ epoch, number, deadline }: Token): [string, number, number] {
  return [epoch, number, deadline]
}

/** A server that has no memory for a record still serves entries, so its error is a refusal and not a failure of the server. */
async function orRefusal<T> (call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (error) {
    throw (error as { code?: unknown }).code === 'OOM' ? refusal(error as Error) : error
  }
}
