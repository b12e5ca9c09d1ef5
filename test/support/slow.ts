// Servers that respond late, in processes of their own, and an event loop that is blocked meanwhile.
import type { Test } from 'tap'
import { startChild } from './child.js'

/** Blocks the event loop, as a synchronous call of an application does. */
export function holdUp (ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/** Starts a relay to the server on `port` that delays everything the server sends. Returns the relay's port. */
export async function startRelay (t: Test, port: number, lateMs: number): Promise<number> {
  return Number(await startChild(t, 'slow.js', [String(lateMs), String(port)]))
}

/** Starts the cache service with the backend memory. Returns its port. */
export async function startSlowService (t: Test, token: string, lateMs: number): Promise<number> {
  return Number(await startChild(t, 'slow.js', [String(lateMs), '0', token]))
}
