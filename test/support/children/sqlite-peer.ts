// A process or a worker thread that opens a SQLite file and calls the methods that it is told to. Argument: the path.
import { parentPort } from 'node:worker_threads'
import { builtIns } from '../../../backends/index.js'
import type { CacheBackend } from '../../../registry/backend.js'
import type { PeerCall, PeerResult } from '../sqlite-peer.js'

const backend = await builtIns().open({ backend: 'sqlite', options: { path: process.argv[2] ?? '' } }, {}) as Required<CacheBackend>

/** Claims `key-0` to `key-<count - 1>`, one after another. Returns the keys for which it got a token. */
async function race (count: number): Promise<string[]> {
  const won: string[] = []
  for (let at = 0; at < count; at++) {
    if ('token' in await backend.claim(`key-${at}`, { leaseMs: 60_000, fillMs: 60_000 })) won.push(`key-${at}`)
  }
  return won
}

const calls: Record<string, (...values: any[]) => unknown> = {
  race,
  ready: () => true,
  claim: (key, options) => backend.claim(key, options),
  settle: (key, token, settlement) => backend.settle(key, token, settlement),
  version: (name, raise) => backend.version(name, raise)
}

async function outcome ({ id, name, values }: PeerCall): Promise<PeerResult> {
  try {
    return { id, result: await calls[name]!(...values) }
  } catch (error) {
    return { id, failure: String(error) }
  }
}

const tell = (result: PeerResult): unknown => parentPort === null ? process.send!(result) : parentPort.postMessage(result)
const channel = parentPort ?? process
channel.on('message', (call: PeerCall) => { outcome(call).then(tell) })
