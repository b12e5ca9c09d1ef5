// A guard over a backend that fails on command, on a clock that stands still.
import type { Test } from 'tap'
import type { StoredEntry } from '../../registry/backend.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import { BackendGuard } from '../../response/store/backend-guard.js'
import { CacheStatus } from '../../response/observe/cache-status.js'
import { ThrottledLog } from '../../response/observe/log.js'
import { Observer } from '../../response/observe/observer.js'
import { turns, until } from './barrier.js'
import { Chaos } from './chaos.js'
import { testClock } from './clock.js'
import { mapBackend } from './map-backend.js'

export const DEADLINE_MS = 30
// How late a timer may fire on a busy machine.
export const SLACK_MS = 150

export function guardSetUp ({ deadlineMs = DEADLINE_MS } = {}) {
  const clock = testClock()
  const lines: Array<{ details: Record<string, unknown>, message: string }> = []
  const warn = (details: object, message: string) => { lines.push({ details: details as Record<string, unknown>, message }) }
  const chaos = new Chaos()
  const backend = chaos.wrap(mapBackend(clock.now))
  const guard = new BackendGuard(backend, {
    name: 'chaos',
    deadlineMs,
    now: clock.now,
    steadyNow: clock.now,
    observer: new Observer(new CacheStatus(), new ThrottledLog({ debug () {}, info () {}, error () {}, warn }, clock.now))
  })
  const entry = (text: string): StoredEntry => ({ value: Buffer.from(text), expiresAt: clock.now() + 60_000 })
  const get = async (key = 'a') => await guard.get(key, guard.deadline())
  return { clock, lines, chaos, backend, guard, entry, get }
}

export async function took (act: () => unknown): Promise<number> {
  const began = performance.now()
  await act()
  return performance.now() - began
}

export async function fails (t: Test, call: Promise<unknown>, code = 'CACHE_ERR_BACKEND_FAILED', message?: RegExp): Promise<void> {
  await t.rejects(call, { code, ...(message !== undefined && { message }) })
}

export const textOf = (read: unknown): unknown =>
  read === undefined || read === UNAVAILABLE ? read : Buffer.from((read as StoredEntry).value).toString()

/** Resolves when `writes` that were put just before have missed their deadline. */
export async function lateAt (guard: BackendGuard, writes = 1): Promise<void> {
  const before = guard.errors.set ?? 0
  await until(() => (guard.errors.set ?? 0) === before + writes)
  await turns()
}
