// Four processes on one store: a cold key is filled by one run of the handler, a stale entry is refreshed by one.
import t from 'tap'
import { onAllStores, onTwoStores } from '../support/peer-stores.js'
import { startPeers, type Manner, type Peer, type PeerResponse } from '../support/peers.js'
import { placeOf } from '../support/peer-ways.js'
import { until } from '../support/redis-server.js'
import { isFull } from '../support/size.js'

const HANDLER_MS = 200
const TTL_MS = 700
/** Far more than it takes on a quiet machine. A machine that is busy must not fail the test. */
const SLACK_MS = 2_000

/** Sends `count` requests for a path at once, in turn to each peer. */
async function askAll (peers: readonly Peer[], path: string, count = 200): Promise<PeerResponse[]> {
  return await Promise.all(Array.from({ length: count }, async (_, at) => await peers[at % peers.length]!.ask(path)))
}

/** Resolves when an entry is stored, so that requests to all peers are hits. */
async function untilHit (peers: readonly Peer[], path: string): Promise<void> {
  for (const peer of peers) await until('it is a hit', async () => / hit/.test((await peer.ask(path)).cacheStatus))
}

const slowest = (responses: readonly PeerResponse[]): number => Math.max(...responses.map(({ ms }) => ms))

t.test('200 requests for a cold key in four processes are one run, and 200 for a stale entry are one refresh', async (t) => {
  await onAllStores(t, async (t, { choice }) => {
    for (const manner of (isFull ? ['fork', 'cluster', 'threads'] : ['fork']) satisfies Manner[]) {
      const { peers, data } = await startPeers(t, choice, {
        manner, cache: { ttl: `${TTL_MS}ms`, staleWhileRevalidate: '10m' }
      })
      await Promise.all(peers.map(async (peer) => await peer.behave({ ms: HANDLER_MS })))
      const cold = await askAll(peers, '/plain/1')
      t.equal(data.runs('/plain/1'), 1, `${manner}: one run`)
      t.ok(cold.every(({ status, number }) => status === 200 && number === 0))
      t.comment(`${manner}: the slowest request took ${(slowest(cold) - HANDLER_MS).toFixed(0)} ms longer than the handler`)
      t.ok(slowest(cold) < HANDLER_MS + SLACK_MS)
      data.write(placeOf('plain', 1), 1)
      await until('it is stale', async () => (await peers[0]!.ask('/plain/1')).cacheStatus.includes('ttl=-'))
      const staleSince = performance.now()
      const stale = await askAll(peers, '/plain/1')
      t.ok(stale.every(({ status }) => status === 200))
      await until('it is refreshed', async () => (await askAll(peers, '/plain/1', 4)).every(({ number }) => number === 1))
      const refreshes = data.runs('/plain/1') - 1
      // On a busy machine, it may become stale again.
      t.ok(refreshes <= 1 + Math.floor((performance.now() - staleSince) / TTL_MS), `${manner}: ${refreshes} refreshes`)
      t.equal(data.mostAtOnce('/plain/1'), 1, `${manner}: one refresh at a time`)
      for (const peer of peers) await peer.end()
    }
  }, { withCluster: true })
})

t.test('node:cluster and worker threads: 200 requests are one run', { skip: isFull && 'in the test before' }, async (t) => {
  await onTwoStores(t, async (t, { choice, name }) => {
    const manner = name === 'SQLite' ? 'threads' : 'cluster'
    const { peers, data } = await startPeers(t, choice, { manner })
    for (const peer of peers) await peer.behave({ ms: HANDLER_MS })
    t.ok((await askAll(peers, '/plain/1')).every(({ status }) => status === 200))
    t.equal(data.runs('/plain/1'), 1, manner)
  })
})

t.test('1,000 cold keys at once are 1,000 runs, and keys do not wait for each other', async (t) => {
  await onAllStores(t, async (t, { choice }) => {
    // On a machine whose processes are held up for a second, a lease isn't renewed in time, and a key would be filled twice.
    const { peers, data } = await startPeers(t, choice, { options: { lease: '10s' } })
    for (const peer of peers) await peer.behave({ ms: HANDLER_MS })
    const began = performance.now()
    const responses = await Promise.all(Array.from({ length: 1_000 }, async (_, at) =>
      [await peers[at % 4]!.ask(`/plain/${at}`), await peers[(at + 1) % 4]!.ask(`/plain/${at}`)]))
    const ms = performance.now() - began
    t.comment(`${(ms / HANDLER_MS).toFixed(1)} times as long as one handler`)
    t.ok(responses.flat().every(({ status }) => status === 200))
    t.equal(data.lines().filter(({ what }) => what === 'began').length, 1_000)
    // If keys waited for each other, it would take 1,000 times as long.
    t.ok(ms < 60 * HANDLER_MS)
  })
})

t.test('a handler that takes three leases keeps its lease, and is the only one', async (t) => {
  await onAllStores(t, async (t, { choice }) => {
    const { peers, data } = await startPeers(t, choice, { options: { lease: '400ms', lockTimeout: '10s' } })
    for (const peer of peers) await peer.behave({ ms: 1_300 })
    const responses = await askAll(peers, '/plain/1', 40)
    t.ok(responses.every(({ status }) => status === 200))
    t.equal(data.runs('/plain/1'), 1)
    await untilHit(peers, '/plain/1')
  })
})

t.test('a hit claims nothing', async (t) => {
  await onTwoStores(t, async (t, { choice }) => {
    const { peers } = await startPeers(t, choice)
    await peers[0]!.ask('/plain/1')
    await untilHit(peers, '/plain/1')
    const before = await Promise.all(peers.map(async (peer) => await peer.call('calls')))
    await askAll(peers, '/plain/1')
    t.same(await Promise.all(peers.map(async (peer) => await peer.call('calls'))), before)
  })
})
