// Servers that answer late, in processes of their own, and an event loop that is held up meanwhile.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const CHILD = fileURLToPath(new URL('./children/slow.ts', import.meta.url))

/** Keeps the event loop, as an application does that computes. */
export function holdUp (ms: number): void {
  for (const endsAt = performance.now() + ms; performance.now() < endsAt;);
}

async function start (t: Test, args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, CHILD, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const [said] = await once(child.stdout, 'data') as [Buffer]
  return Number(said.toString())
}

/** A relay to the server on `port`, which keeps back for so long whatever the server says. Returns its port. */
export async function startRelay (t: Test, port: number, lateMs: number): Promise<number> {
  return await start(t, [String(lateMs), String(port)])
}

/** The cache service with the backend memory. Returns its port. */
export async function startSlowService (t: Test, token: string, lateMs: number): Promise<number> {
  return await start(t, [String(lateMs), '0', token])
}
