// close() while a process has a lease, or waits for one: it is quick, gives leases back, and leaves no timer behind.
import t from 'tap'
import { onAllStores } from '../support/peer-stores.js'
import { startPeers, type Peer } from '../support/peers.js'
import { until } from '../support/redis-server.js'

/** It takes a tenth of that on a quiet machine, and much longer if anything is waited for. */
const LONGEST_CLOSE_MS = 1_000
const LONGEST_END_MS = 3_000

const PATHS = ['/plain/1', '/plain/2', '/value/1']

/** Closes the application, and resolves when its process has ended by itself. */
async function closes (peer: Peer): Promise<{ readonly closeMs: number, readonly endMs: number }> {
  const closeMs = await peer.call('close') as number
  const began = performance.now()
  await peer.call('disconnect').catch(() => {})
  await peer.ended()
  return { closeMs, endMs: performance.now() - began }
}

t.test('close() with open leases, and with requests that wait for a lease elsewhere', async (t) => {
  await onAllStores(t, async (t, { choice }) => {
    // Whoever waited for this lease to end would wait too long.
    const { peers } = await startPeers(t, choice, { count: 3, options: { lease: '1m', lockTimeout: '2m' } })
    const [leader, waiter, next] = peers as [Peer, Peer, Peer]
    await leader.behave({ holds: true })
    const led = PATHS.map(async (path) => await leader.ask(path).catch(() => {}))
    await leader.reached(PATHS.length)
    const waiting = PATHS.map(async (path) => await waiter.ask(path).catch(() => {}))
    await until('they wait', async () => (await waiter.call('calls')).claim >= PATHS.length)
    const { closeMs, endMs } = await closes(waiter)
    t.comment(`with waiters: close() took ${closeMs.toFixed(0)} ms, the process ended after ${endMs.toFixed(0)} ms`)
    t.ok(closeMs < LONGEST_CLOSE_MS)
    t.ok(endMs < LONGEST_END_MS)
    const ends = await closes(leader)
    t.comment(`with leases: close() took ${ends.closeMs.toFixed(0)} ms, the process ended after ${ends.endMs.toFixed(0)} ms`)
    t.ok(ends.closeMs < LONGEST_CLOSE_MS)
    t.ok(ends.endMs < LONGEST_END_MS)
    await Promise.all([...led, ...waiting])
    for (const path of PATHS) {
      const { status, ms } = await next.ask(path)
      t.ok(status === 200 && ms < 10_000, `the lease of ${path} was given back: ${ms.toFixed(0)} ms`)
    }
  })
})

t.test('a process that has claimed, renewed and settled ends by itself', async (t) => {
  await onAllStores(t, async (t, { choice }) => {
    const { peers: [peer] } = await startPeers(t, choice, { count: 1, options: { lease: '150ms' } })
    await peer!.behave({ ms: 400 })
    await Promise.all(Array.from({ length: 10 }, async (_, id) => await peer!.ask(`/plain/${id}`)))
    const { closeMs, endMs } = await closes(peer!)
    t.ok(closeMs < LONGEST_CLOSE_MS)
    t.ok(endMs < LONGEST_END_MS)
  })
})
