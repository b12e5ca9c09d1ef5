// Waits, with a limit, for the outcome of a call, or until an attempt succeeds.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as wait } from 'node:timers/promises'

/** How long a call may take to settle by itself. */
export const PATIENCE_MS = 2_000

/** How long a backend may take to work again after its store does, because reconnecting takes a while. */
const RECOVERY_MS = 15_000

const PAUSE_MS = 20

const factor = new AsyncLocalStorage<number>()

/** Runs a case. Every limit in the case is multiplied by `patience`, which is the subject's. */
export function patiently<T> (patience: number, run: () => T): T {
  assert.ok(patience > 0 && Number.isFinite(patience), `the subject's patience must be a number greater than 0; got ${show(patience)}`)
  return factor.run(patience, run)
}

/** Returns `ms`, multiplied by the subject's patience. */
export const patient = (ms: number): number => ms * (factor.getStore() ?? 1)

/** The result of a call, or the error with which it failed. */
export type Outcome<T> = { readonly result: T } | { readonly error: unknown }

/**
 * Returns the result of `call`, or the error that it threw or rejected with. Fails if the call doesn't settle within `patienceMs`,
 * multiplied by the subject's patience.
 */
export async function outcomeOf<T> (what: string, call: () => T | Promise<T>, patienceMs = PATIENCE_MS): Promise<Outcome<T>> {
  const limitMs = patient(patienceMs)
  const giveUp = new AbortController()
  const tooLong = wait(limitMs, undefined, { signal: giveUp.signal })
    .then(() => assert.fail(`${what} must return or fail in time, and did neither within ${limitMs} ms`))
  tooLong.catch(() => {})
  const outcome = (async () => call())().then((result) => ({ result }), (error: unknown) => ({ error }))
  try {
    return await Promise.race([outcome, tooLong])
  } finally {
    giveUp.abort()
  }
}

/** Returns the result of `call`. Fails if the call throws, rejects or does not settle in time. */
export async function resultOf<T> (what: string, call: () => T | Promise<T>, patienceMs = PATIENCE_MS): Promise<T> {
  const outcome = await outcomeOf(what, call, patienceMs)
  if ('error' in outcome) assert.fail(`${what} must not fail; it failed with ${String(outcome.error)}`)
  return outcome.result
}

/** Fails unless `call` throws or rejects in time. */
export async function assertFails (what: string, call: () => unknown): Promise<void> {
  const outcome = await outcomeOf(what, call)
  if ('result' in outcome) assert.fail(`${what} must fail; it returned ${show(outcome.result)}`)
}

/** Repeats `attempt` until it succeeds. After `patienceMs`, multiplied by the subject's patience, throws its last error. */
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

/** Formats a value for a message: short, and on one line. */
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
