// The rules of leases: what a claim and a settlement make of a key's record. Pure functions, without the database.
import type { Claim, ClaimOptions, Settlement } from '../../registry/backend.js'
import { randomTexts } from '../../registry/random-text.js'

/** The record of a key for which tokens were given out. Its instants are milliseconds of the clock of leases, not epoch milliseconds. */
export interface Lease {
  /** Random, and new whenever the record is made, so that tokens of a former record are not valid. */
  readonly epoch: string
  /** How many tokens were given out. Each has a number: the first has 1. */
  readonly given: number
  /** The largest number of a token with which an entry was stored; 0 if there is none. */
  readonly stored: number
  /** The number of the token that has the lease; 0 if none has it. */
  readonly holder: number
  readonly leaseUntil: number
  /** Until then, nobody waits for this key. */
  readonly aloneUntil: number
  /** From then on, no token is valid, and the record is removed. */
  readonly diesAt: number
  readonly writtenAt: number
}

interface Token {
  readonly epoch: string
  readonly number: number
  readonly deadlineAt: number
}

/** What a settlement comes to. */
export interface Settled {
  /** Whether the entry must be stored. */
  readonly isStored: boolean
  /** The record from now on, or undefined if it is no longer needed. */
  readonly lease: Lease | undefined
}

const newEpoch = randomTexts(12)

// All processes of a machine read the same clock. The slack covers systems on which two processors differ a little.
const CLOCK_SLACK_MS = 1_000

/**
 * Returns the time in milliseconds, by a clock that all processes and threads of the machine share and that nobody can set. It begins again
 * when the machine starts.
 */
export function leaseClock (): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}

/** Returns whether a record counts. One that was written in the future was written before the machine was started again. */
export function isLive ({ diesAt, writtenAt }: Pick<Lease, 'diesAt' | 'writtenAt'>, at: number): boolean {
  return diesAt > at && writtenAt <= latestWrite(at)
}

/** Returns the latest `writtenAt` that a record can have. */
export function latestWrite (at: number): number {
  return at + CLOCK_SLACK_MS
}

/** Returns the outcome of a claim if it changes nothing; undefined if `taken` says what to write. The caller has looked for an entry. */
export function unwritten (lease: Lease | undefined, { leaseMs, token }: ClaimOptions, at: number): Claim | undefined {
  const restMs = Math.max((lease?.leaseUntil ?? 0) - at, 0)
  const isAlone = (lease?.aloneUntil ?? 0) > at
  if (token === undefined) return leaseMs > 0 && restMs > 0 && !isAlone ? { busyMs: restMs } : undefined
  const own = tokenOf(token)
  const isOthers = restMs > 0 && (lease?.epoch !== own?.epoch || lease?.holder !== own?.number)
  if (!isValid(lease, own, at) || own?.number === lease?.stored) return { busyMs: isOthers ? restMs : 0 }
  if (leaseMs === 0 || isAlone) return { token }
  return isOthers ? { busyMs: restMs } : undefined
}

/** Returns the record and the token after a claim for which `unwritten` returned undefined. */
export function taken (
  lease: Lease | undefined, { leaseMs, fillMs, token }: ClaimOptions, at: number
): { readonly lease: Lease, readonly token: string } {
  const before = lease ?? newLease(at)
  if (token !== undefined) {
    return { lease: { ...before, holder: (tokenOf(token) as Token).number, leaseUntil: after(at, leaseMs), writtenAt: at }, token }
  }
  const number = before.given + 1
  const deadlineAt = after(at, fillMs)
  const getsLease = leaseMs > 0 && before.aloneUntil <= at
  return {
    lease: {
      ...before,
      given: number,
      diesAt: Math.max(before.diesAt, deadlineAt),
      writtenAt: at,
      ...(getsLease && { holder: number, leaseUntil: after(at, leaseMs) })
    },
    token: `${before.epoch}.${number}.${deadlineAt}`
  }
}

/** Returns what a settlement comes to, or undefined if the token is not valid. */
export function settled (
  lease: Lease | undefined, text: string, { settlement: { entry, replaces, aloneMs = 0 }, present, at }: {
    readonly settlement: Settlement
    /** The `expiresAt` of the entry that is there; 0 if there is none. */
    readonly present: number
    readonly at: number
  }
): Settled | undefined {
  const token = tokenOf(text)
  if (!isValid(lease, token, at)) return undefined
  if (entry !== undefined && replaces !== undefined && replaces !== present) return { isStored: false, lease }
  const { number } = token as Token
  const { given, stored, holder, leaseUntil, aloneUntil, diesAt } = lease as Lease
  const isStored = entry !== undefined && (replaces === undefined ? number > stored : number !== stored)
  const aloneFrom = entry === undefined && aloneMs > 0 ? after(at, aloneMs) : aloneUntil
  // If this was the only token, nobody is left whose token the record could make valid or invalid.
  if (given === 1 && aloneFrom <= at) return { isStored, lease: undefined }
  return {
    isStored,
    lease: {
      ...lease as Lease,
      stored: isStored ? Math.max(stored, number) : stored,
      holder: holder === number ? 0 : holder,
      leaseUntil: holder === number ? 0 : leaseUntil,
      aloneUntil: aloneFrom,
      diesAt: Math.max(diesAt, aloneFrom),
      writtenAt: at
    }
  }
}

function isValid (lease: Lease | undefined, token: Token | undefined, at: number): boolean {
  if (lease === undefined || token === undefined) return false
  return token.epoch === lease.epoch && token.number <= lease.given && token.deadlineAt > at
}

/** Returns the parts of a token, or undefined if it is not one of ours. */
function tokenOf (text: string): Token | undefined {
  const [, epoch, number, deadlineAt] = /^([\w-]+)\.(\d+)\.(\d+)$/.exec(text) ?? []
  return epoch === undefined ? undefined : { epoch, number: Number(number), deadlineAt: Number(deadlineAt) }
}

function newLease (writtenAt: number): Lease {
  return { epoch: newEpoch(), given: 0, stored: 0, holder: 0, leaseUntil: 0, aloneUntil: 0, diesAt: 0, writtenAt }
}

function after (at: number, ms: number): number {
  return Math.min(Math.ceil(at + ms), Number.MAX_SAFE_INTEGER)
}
