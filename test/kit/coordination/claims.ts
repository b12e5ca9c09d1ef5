// What the cases about claim and settle share: how such a case is made, the calls with their assertions, and how time passes.
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import type { Claim, ClaimOptions, Settlement, StoredEntry } from '../../../registry/backend.js'
import { withLevers, withPower, type About, type ConformanceCase, type WithPower } from '../case.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertHolds } from '../expect.js'
import { patient, resultOf, show } from '../outcome.js'
import type { ConformanceSubject, Lever, SubjectWith } from '../subject.js'

/** A backend that has claim and settle. */
export type Claiming = WithPower<'claim' | 'settle'>

/** A lease, and a time to store the entry, that are longer than any case takes. */
export const LONG: ClaimOptions = { leaseMs: LIFE_MS, fillMs: LIFE_MS }

/** No lease, and a long time to store the entry. */
export const NO_LEASE: ClaimOptions = { leaseMs: 0, fillMs: LIFE_MS }

/** A lease that is as short as a case can wait for. */
export const SHORT_MS = 60

/** How much later than promised something may end by itself. */
const LATE_MS = 3_000

const STEP_MS = 20

/** Creates a case about claim and settle. */
export function claiming (
  name: string, body: (backend: Claiming, subject: ConformanceSubject) => Promise<void>, about: About = {}
): ConformanceCase {
  return withPower<'claim' | 'settle'>('claim', name, body, about)
}

/** Creates a case about claim and settle that needs levers. */
export function claimingWith<L extends Lever> (
  levers: readonly L[], name: string, body: (backend: Claiming, subject: SubjectWith<L>) => Promise<void>, advice?: string
): ConformanceCase {
  return withLevers<L, 'claim' | 'settle'>(levers, `claim: ${name}`, body, { power: 'claim', ...(advice !== undefined && { advice }) })
}

/** Returns `backend` as one that has claim and settle. */
export const asClaiming = (backend: unknown): Claiming => backend as Claiming

/** Settles when `ms` have passed by the subject's clock and by the clocks of this machine: a lease may end by either. */
export async function elapse (subject: ConformanceSubject, ms: number): Promise<void> {
  await Promise.all([wait(ms), subject.pass(ms)])
}

/** Claims `key`. Fails unless the call settles in time with a token, an entry or busyMs. */
export async function claim (backend: Claiming, key: string, options: ClaimOptions, what = ''): Promise<Claim> {
  const call = `claim()${what && ` ${what}`}`
  const came = await resultOf(call, () => backend.claim(key, options))
  const { token, entry, busyMs } = (came ?? {}) as { token?: unknown, entry?: unknown, busyMs?: unknown }
  const kinds = [typeof token === 'string', typeof entry === 'object' && entry !== null, typeof busyMs === 'number' && busyMs >= 0]
  assert.ok(kinds.filter(Boolean).length === 1,
    `${call} must return one of { token }, { entry } and { busyMs }, with text, an entry and a number; got ${show(came)}`)
  return came
}

const shown = (came: Claim): string => 'entry' in came ? show(came.entry) : show(came)

/** Returns the token of a claim. Fails if the claim returned something else. */
export function tokenOf (came: Claim, what: string): string {
  assert.ok('token' in came, `claim() ${what} must return a token; got ${shown(came)}`)
  return came.token
}

/** Claims `key`, and returns the token. Fails unless there is one. */
export async function take (backend: Claiming, key: string, options: ClaimOptions, what: string): Promise<string> {
  return tokenOf(await claim(backend, key, options, what), what)
}

/** Fails unless the claim returned for how long somebody else has the lease: more than nothing, and at most `mostMs`. */
export function assertBusy (came: Claim, what: string, mostMs: number = LIFE_MS): void {
  assert.ok('busyMs' in came, `claim() ${what} must return busyMs; got ${shown(came)}`)
  assert.ok(came.busyMs > 0 && came.busyMs <= mostMs,
    `claim() ${what} must return a busyMs of more than 0 and at most ${mostMs}; got ${came.busyMs}`)
}

/** Fails unless the claim returned an entry with the bytes of `text`. */
export function assertEntryIn (came: Claim, text: string, what: string): StoredEntry {
  assert.ok('entry' in came, `claim() ${what} must return the entry; got ${show(came)}`)
  assertHolds(came.entry, bytesOf(text), `claim() ${what}`)
  return came.entry
}

/** Settles a token. Fails unless the call returns `expected` in time. */
export async function settle (
  backend: Claiming, key: string, token: string, settlement: Settlement, expected: boolean, what: string
): Promise<void> {
  const came: unknown = await resultOf(`settle() ${what}`, () => backend.settle(key, token, settlement))
  assert.ok(came === expected, `settle() ${what} must return ${expected}; got ${show(came)}`)
}

/** Sets an entry that a case then claims as seen. Returns its expiresAt as the backend returns it. */
export async function seenEntry (backend: Claiming, key: string, text: string, subject: ConformanceSubject): Promise<number> {
  await backend.set(key, entryOf(text, subject))
  const hit = await backend.get(key)
  assertHolds(hit, bytesOf(text), 'get() of an entry that was set before claim()')
  return hit!.expiresAt
}

/** Repeats a step, and lets time pass, until the step returns true. Fails if that takes much longer than `ms`. */
export async function awaitEnd (subject: ConformanceSubject, ms: number, must: string, isOver: () => Promise<boolean>): Promise<void> {
  const endsAt = performance.now() + ms + patient(LATE_MS)
  const began = performance.now()
  while (!await isOver()) {
    assert.ok(performance.now() < endsAt, `${must} by itself after ${ms} ms; it had not after ${Math.round(performance.now() - began)} ms`)
    await elapse(subject, STEP_MS)
  }
}

/** Claims `key` again and again until there is a token, which it returns. Fails if that takes much longer than `ms`. */
export async function takeWhenFree (
  backend: Claiming, key: string, subject: ConformanceSubject, ms: number, whose: string
): Promise<string> {
  let token: string | undefined
  await awaitEnd(subject, ms, `the lease ${whose} must end`, async () => {
    const came = await claim(backend, key, LONG, `of a key with the lease ${whose}`)
    if ('token' in came) token = came.token
    else assertBusy(came, `beside the lease ${whose}`, ms)
    return token !== undefined
  })
  return token!
}
