// Runs the suite several times at once. A run mostly waits, so three concurrent runs take as long as one.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { backendFor } from './backends.js'
import type { Order } from './once.js'
import type { RawResults } from './suite.js'

export type RunOrder = Omit<Order, 'backend'> & { readonly backend: string, readonly isPrinted: boolean }

/** Runs the suite once, in its own process and on its own backend. Rejects if the process ends without results. */
export async function runOnce ({ backend, isPrinted, ...order }: RunOrder): Promise<RawResults> {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-'))
  const over = new AbortController()
  try {
    const options = await backendFor(backend, folder, over.signal)
    const child = fork(fileURLToPath(new URL('once.js', import.meta.url)), {
      stdio: ['ignore', isPrinted ? 'inherit' : 'ignore', 'inherit', 'ipc']
    })
    let results: RawResults | undefined
    child.on('message', (message) => { results = message as RawResults })
    child.send({ ...order, backend: options } satisfies Order)
    const [code] = await once(child, 'exit')
    if (results === undefined) throw new Error(`a run ended without results, with ${code}`)
    return results
  } finally {
    over.abort()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Runs the same tests several times at once. */
export async function runSeveral (order: RunOrder, times: number): Promise<RawResults[]> {
  return await Promise.all(Array.from({ length: times }, async () => await runOnce(order)))
}
