// Processes and worker threads that use a SQLite file beside the test.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { Test } from 'tap'

export interface PeerCall {
  readonly id: number
  readonly name: string
  readonly values: readonly unknown[]
}

export interface PeerResult {
  readonly id: number
  readonly result?: unknown
  readonly failure?: string
}

export interface Peer {
  /** Calls a method there, and resolves to its result. */
  call (name: string, ...values: unknown[]): Promise<any>
  /** Sends a signal to the process. */
  kill (signal: NodeJS.Signals): void
}

const SCRIPT = fileURLToPath(new URL('./children/sqlite-peer.js', import.meta.url))

/** Starts a process, which ends with the test. Resolves when it has opened the file at `path`. */
export async function startPeer (t: Test, path: string, env: NodeJS.ProcessEnv = {}): Promise<Peer> {
  const child = fork(SCRIPT, [path], { serialization: 'advanced', env: { ...process.env, ...env } })
  const ended = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return await ready(child, (call) => child.send(call), (signal) => child.kill(signal))
}

/** The same for a worker thread. */
export async function startWorker (t: Test, path: string): Promise<Peer> {
  const worker = new Worker(SCRIPT, { argv: [path] })
  t.teardown(() => worker.terminate())
  return await ready(worker, (call) => worker.postMessage(call), () => {})
}

async function ready (from: NodeJS.EventEmitter, send: (call: PeerCall) => unknown, kill: Peer['kill']): Promise<Peer> {
  const waiting = new Map<number, (result: PeerResult) => void>()
  let calls = 0
  from.on('message', (result: PeerResult) => waiting.get(result.id)?.(result))
  const peer: Peer = {
    kill,
    async call (name, ...values) {
      const id = calls++
      const { result, failure } = await new Promise<PeerResult>((resolve) => {
        waiting.set(id, resolve)
        send({ id, name, values })
      })
      if (failure !== undefined) throw new Error(failure)
      return result
    }
  }
  await peer.call('ready')
  return peer
}
