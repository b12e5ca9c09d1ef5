// Waits that end: what a call came to, in time; what holds soon.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as wait } from 'node:timers/promises'

/** How long a call may take that has to be over by itself. */
export const PATIENCE_MS = 2_000

/** How long it may take until a backend works again after its store does: it connects again, and not at once. */
const RECOVERY_MS = 15_000

const PAUSE_MS = 20

const factor = new AsyncLocalStorage<number>()

/** Runs a case of a subject with this `patience`: every limit in it is as many times as long. */
export function patiently<T> (patience: number, run: () => T): T {
  assert.ok(patience > 0 && Number.isFinite(patience), `the subject's patience must be a number greater than 0; got ${show(patience)}`)
  return factor.run(patience, run)
}

/** A limit of `ms` as the subject has it. */
export const patient = (ms: number): number => ms * (factor.getStore() ?? 1)

/** What a call came to. */
export type Outcome<T> = { readonly answer: T } | { readonly error: unknown }

/**
 * What `call` came to: its answer, or the error that it threw or rejected with. Fails when it comes to nothing in `patienceMs`, times the
 * subject's patience.
 */
export async function outcomeOf<T> (what: string, call: () => T | Promise<T>, patienceMs = PATIENCE_MS): Promise<Outcome<T>> {
  const limitMs = patient(patienceMs)
  const giveUp = new AbortController()
  const tooLong = wait(limitMs, undefined, { signal: giveUp.signal })
    .then(() => assert.fail(`${what} must come to an answer or an error; it came to neither in ${limitMs} ms`))
  tooLong.catch(() => {})
  const outcome = (async () => call())().then((answer) => ({ answer }), (error: unknown) => ({ error }))
  try {
    return await Promise.race([outcome, tooLong])
  } finally {
    giveUp.abort()
  }
}

/** The answer of `call`. Fails when it throws, rejects or never answers. */
export async function answerOf<T> (what: string, call: () => T | Promise<T>, patienceMs = PATIENCE_MS): Promise<T> {
  const outcome = await outcomeOf(what, call, patienceMs)
  if ('error' in outcome) assert.fail(`${what} must not fail; it failed with ${String(outcome.error)}`)
  return outcome.answer
}

/** Fails unless `call` throws or rejects, in time. */
export async function assertFails (what: string, call: () => unknown): Promise<void> {
  const outcome = await outcomeOf(what, call)
  if ('answer' in outcome) assert.fail(`${what} must be an error; it answered ${show(outcome.answer)}`)
}

/** Tries `attempt` until it does not fail any more. Fails with its last failure after `patienceMs`, times the subject's patience. */
export async function soon (attempt: () => Promise<void>, patienceMs: number = RECOVERY_MS): Promise<void> {
  const endsAt = performance.now() + patient(patienceMs)
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > endsAt) throw error
      await wait(PAUSE_MS)
    }
  }
}

const SHOWN_CHARACTERS = 80

/** A value for a message: short, in one line. */
export function show (value: unknown): string {
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`
  if (value instanceof Error) return `an Error (${value.message})`
  const { value: bytes, expiresAt } = (value ?? {}) as { value?: unknown, expiresAt?: unknown }
  if (bytes instanceof Uint8Array) return `an entry of ${bytes.byteLength} bytes with the expiresAt ${String(expiresAt)}`
  const text = typeof value === 'string'
    ? JSON.stringify(value)
    : typeof value === 'object' && value !== null ? shape(value) : String(value)
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text
}

function shape (value: object): string {
  try {
    return JSON.stringify(value) ?? Object.prototype.toString.call(value)
  } catch {
    return Object.prototype.toString.call(value)
  }
}
