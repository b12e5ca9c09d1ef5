// Claims and settlements. What they need to know lies in the head of the entry itself, so that whatever removes the entry makes all tokens
// for its key invalid: UNLINK, eviction, an earlier version of this package.
import type { Claim, ClaimOptions, Settlement, StoredEntry } from '../../registry/backend.js'
import { randomTexts } from '../../registry/random-text.js'
import { refusal } from '../../registry/refusal.js'
import { decodeValue, encodeRecord, RECORD_BYTES, storedInstant } from './codec.js'
import type { CommandBatch } from './command-batch.js'
import type { Commands } from './commands.js'
import { CLAIM, PROLONG, RELEASE, SETTLE, type Script, type ScriptArguments } from './scripts.js'
import type { SizeLimit } from './size-limit.js'
import { tokenOf, type Token } from './tokens.js'
import type { TimedWrites } from './write-queue.js'

/** Stands for text that is no token. No key has this epoch. */
const UNKNOWN: Token = { epoch: '', number: 0, deadline: 0 }
const GIVEN = -1
const STORED = 1

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

  claim (stored: string, { leaseMs, fillMs, seen, token }: ClaimOptions): Promise<Claim> {
    if (token !== undefined) return this.#prolong(stored, token, leaseMs)
    // All arguments are text, because the driver sends bytes with much more work.
    return this.#run(CLAIM, [stored, this.#now(), Math.ceil(leaseMs), Math.ceil(fillMs), instantText(seen), newEpoch()], claimIn)
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

  #prolong (stored: string, text: string, leaseMs: number): Promise<Claim> {
    return this.#run(PROLONG, [stored, ...valuesOf(tokenOf(text) ?? UNKNOWN), Math.ceil(leaseMs)],
      (busyMs) => busyMs === GIVEN ? { token: text } : { busyMs: Number(busyMs) })
  }

  #store (stored: string, token: Token, entry: StoredEntry, replaces: number | undefined): Promise<boolean> {
    return this.#writes.store(stored, {
      script: SETTLE,
      bytes: encodeRecord(entry, token.epoch),
      lifeMs: entry.expiresAt - this.#now(),
      more: [...valuesOf(token), instantText(replaces), this.#now()]
    }).then((outcome) => outcome === STORED, refuse)
  }

  #release (stored: string, token: Token, aloneMs: number): Promise<false> {
    return this.#run(RELEASE, [stored, ...valuesOf(token), Math.ceil(aloneMs)], () => false)
  }

  /** Runs a script together with the other commands of this turn. Returns what `use` returns for its result. */
  #run<T> (script: Script, args: ScriptArguments, use: (result: unknown) => T): Promise<T> {
    return this.#commands.scripts.run(script, args, this.#batch.send).then(use, refuse)
  }
}

const newEpoch = randomTexts(8)

/** Returns what the script CLAIM says. */
function claimIn (result: unknown): Claim {
  if (typeof result === 'number') return { busyMs: result }
  return Array.isArray(result) ? { entry: decodeValue(result[0] as Buffer)! } : { token: String(result) }
}

function instantText (expiresAt: number | undefined): string {
  return expiresAt === undefined ? '' : String(storedInstant(expiresAt))
}

function valuesOf ({ epoch, number, deadline }: Token): [string, number, number] {
  return [epoch, number, deadline]
}

/** Throws an error. That of a server without memory for a record is a refusal and no failure, because the server still serves entries. */
function refuse (error: unknown): never {
  throw (error as { code?: unknown }).code === 'OOM' ? refusal(error as Error) : error
}
