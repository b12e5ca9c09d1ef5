// What a conformance case is, and the few words in which the cases are written.
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import type { CacheBackend, Power, StoredEntry } from '../../registry/backend.js'

/** The backend under test, as its author hands it to the cases. */
export interface ConformanceSubject {
  /** A backend that holds nothing yet and that nobody else uses. The case closes it. */
  open (): Promise<CacheBackend>
  /** The clock that the backend was given, in epoch milliseconds. */
  now (): number
  /** Settles when that clock has moved on by at least `ms`: a clock of the test's own is set, a real one is waited for. */
  pass (ms: number): Promise<void>
}

/** One thing that every backend does. Any test runner can run it; assertions are those of node:assert. */
export interface ConformanceCase {
  /** A sentence about behaviour; unique in the list. */
  readonly name: string
  /** The optional method that the case is about; absent when it is about the four that all backends have. */
  readonly power?: Power
  /** Rejects when the backend behaves otherwise; answers 'skipped' when it lacks the power. */
  run (subject: ConformanceSubject): Promise<'passed' | 'skipped'>
}

/** A backend that is known to have a power. */
export type WithPower<P extends Power> = CacheBackend & Required<Pick<CacheBackend, P>>

/** A minute: longer than any case takes. */
export const LIFE_MS = 60_000

const LONGEST_WAIT_MS = 2_000

/** A case about the four required methods. */
export function always (name: string, body: (backend: CacheBackend, subject: ConformanceSubject) => Promise<void>): ConformanceCase {
  return { name, run: (subject) => runWith(subject, (backend) => body(backend, subject)) }
}

/** A case about a power. */
export function withPower<P extends Power> (power: P, name: string, body: (backend: WithPower<P>, subject: ConformanceSubject) => Promise<void>): ConformanceCase {
  return {
    name: `${power}: ${name}`,
    power,
    run: (subject) => runWith(subject, async (backend) => {
      if (typeof backend[power] !== 'function') return 'skipped'
      await body(backend as WithPower<P>, subject)
    })
  }
}

async function runWith (subject: ConformanceSubject, body: (backend: CacheBackend) => Promise<void | 'skipped'>): Promise<'passed' | 'skipped'> {
  const backend = await subject.open()
  try {
    return await body(backend) ?? 'passed'
  } finally {
    // A close that fails is the matter of the cases about close; here it would hide why this one failed.
    await outcomeOf('close after the case', () => backend.close())
  }
}

/** The bytes of `text` in an object of their own. */
export function bytesOf (text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** An entry of `text` that lives for a minute, or for `lifeMs`. */
export function entryOf (text: string, subject: ConformanceSubject, lifeMs = LIFE_MS): StoredEntry {
  return { value: bytesOf(text), expiresAt: subject.now() + lifeMs }
}

/** Fails unless `entry` is a hit with exactly these bytes. */
export function assertHolds (entry: StoredEntry | undefined, value: Uint8Array, what: string): void {
  assert.ok(entry !== undefined, `${what}: expected an entry, got a miss`)
  assert.ok(entry.value instanceof Uint8Array, `${what}: expected the value to be a Uint8Array`)
  assert.equal(entry.value.byteLength, value.byteLength, `${what}: expected ${value.byteLength} bytes, got ${entry.value.byteLength}`)
  assert.ok(Buffer.compare(entry.value, value) === 0, `${what}: expected the bytes that were set, got others`)
}

/** Fails unless `entry` is a miss, which is undefined and nothing else. */
export function assertMiss (entry: StoredEntry | undefined, what: string): void {
  assert.equal(entry, undefined, `${what}: expected undefined`)
}

/** What `call` came to: its answer, or the error that it threw or rejected with. Fails when it comes to nothing. */
export async function outcomeOf<T> (what: string, call: () => T | Promise<T>): Promise<{ answer: T } | { error: unknown }> {
  const giveUp = new AbortController()
  const tooLong = wait(LONGEST_WAIT_MS, undefined, { signal: giveUp.signal })
    .then(() => assert.fail(`${what}: expected an answer or an error, got none in ${LONGEST_WAIT_MS} ms`))
  tooLong.catch(() => {})
  const outcome = (async () => call())().then((answer) => ({ answer }), (error: unknown) => ({ error }))
  try {
    return await Promise.race([outcome, tooLong])
  } finally {
    giveUp.abort()
  }
}

/** The answer of `call`. Fails when it throws, rejects or never answers. */
export async function answerOf<T> (what: string, call: () => T | Promise<T>): Promise<T> {
  const outcome = await outcomeOf(what, call)
  if ('error' in outcome) assert.fail(`${what}: expected no error, got ${String(outcome.error)}`)
  return outcome.answer
}
