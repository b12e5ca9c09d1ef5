// Servers that answer late, in processes of their own, and an event loop that is held up meanwhile.
import type { Test } from 'tap'
import { startChild } from './child.js'

/** Keeps the event loop, as an application does that calls something synchronous. */
export function holdUp (ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/** A relay to the server on `port`, which keeps back for so long whatever the server says. Returns its port. */
export async function startRelay (t: Test, port: number, lateMs: number): Promise<number> {
  return Number(await startChild(t, 'slow.js', [String(lateMs), String(port)]))
}

/** The cache service with the backend memory. Returns its port. */
export async function startSlowService (t: Test, token: string, lateMs: number): Promise<number> {
  return Number(await startChild(t, 'slow.js', [String(lateMs), '0', token]))
}
