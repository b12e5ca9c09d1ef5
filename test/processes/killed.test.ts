// A process of several is killed at any point of a fill: others take over after the lease, and nothing stays locked.
import t, { type Test } from 'tap'
import { onAllStores } from '../support/peer-stores.js'
import { placeOf } from '../support/peer-ways.js'
import { startPeers, type Peer, type PeerResponse, type Peers } from '../support/peers.js'
import { until } from '../support/redis-server.js'
import { sized } from '../support/size.js'

const LEASE_MS = 600
/** Far more than it takes on a quiet machine, and far less than `lockTimeout`. */
const SLACK_MS = 4_000
const LOCK_TIMEOUT_MS = 15_000

const options = { lease: `${LEASE_MS}ms`, lockTimeout: `${LOCK_TIMEOUT_MS}ms` } as const

/** Asks each of the peers a few times. */
function askEach (peers: readonly Peer[], id: number): Array<Promise<PeerResponse>> {
  return Array.from({ length: peers.length * sized(50) }, async (_, at) => await peers[at % peers.length]!.ask(`/plain/${id}`))
}

/** They were given a response soon after the lease had ended. */
function inTime (t: Test, what: string, responses: readonly PeerResponse[]): void {
  const slowestMs = Math.max(...responses.map(({ ms }) => ms))
  t.comment(`${what}: the slowest request took ${slowestMs.toFixed(0)} ms, with a lease of ${LEASE_MS} ms`)
  t.ok(responses.every(({ status }) => status === 200), what)
  t.ok(slowestMs < LEASE_MS + SLACK_MS, `${what}: in time`)
}

/** The key can be filled, hit and invalidated by all that are left. */
async function isUsable (t: Test, { data }: Peers, left: readonly Peer[], id: number): Promise<void> {
  const path = `/plain/${id}`
  for (const peer of left) await until('it is a hit', async () => / hit/.test((await peer.ask(path)).cacheStatus))
  const number = data.read(placeOf('plain', id)) + 1
  data.write(placeOf('plain', id), number)
  await left[0]!.invalidate({ url: path })
  for (const peer of left) t.equal((await peer.ask(path)).number, number)
}

/** What happens to the first of the peers, and what the others see of it. */
const PHASES: Record<string, (t: Test, victim: Peer, others: readonly Peer[], peers: Peers) => Promise<void>> = {
  async 'in its handler' (t, victim, others, { data }) {
    await victim.behave({ holds: true })
    const lost = t.rejects(victim.ask('/plain/0'))
    await victim.reached()
    const waiting = askEach(others, 0)
    await victim.kill()
    inTime(t, 'killed in its handler', await Promise.all(waiting))
    t.equal(data.runs('/plain/0'), 2, 'one of the others ran the handler')
    await lost
  },
  async 'when it has sent its settlement' (t, victim, others, { data }) {
    await victim.call('signalAt', 'settle', 'SIGSTOP')
    victim.ask('/plain/1').catch(() => {})
    await victim.stopped()
    inTime(t, 'stopped after its settlement', await Promise.all(askEach(others, 1)))
    await victim.kill()
    t.ok(data.runs('/plain/1') <= 2)
  },
  async 'while it renews its lease' (t, victim, others, { data }) {
    await victim.behave({ holds: true })
    await victim.call('signalAt', 'renew', 'SIGKILL')
    victim.ask('/plain/2').catch(() => {})
    await victim.reached()
    const waiting = askEach(others, 2)
    await victim.ended()
    inTime(t, 'killed while renewing', await Promise.all(waiting))
    t.equal(data.runs('/plain/2'), 2)
  },
  async 'when it has sent its claim' (t, victim, others, { data }) {
    await victim.call('signalAt', 'claim', 'SIGKILL')
    victim.ask('/plain/3').catch(() => {})
    await victim.ended()
    inTime(t, 'killed after its claim', await Promise.all(askEach(others, 3)))
    // SQLite responds to a claim at once, so that its handler may have begun.
    t.ok(data.runs('/plain/3') <= 2)
  },
  async 'while it waits for another' (t, victim, others, { data }) {
    const leader = others[0]!
    await leader.behave({ holds: true })
    const first = leader.ask('/plain/4')
    await leader.reached()
    const lost = t.rejects(victim.ask('/plain/4'))
    const waiting = askEach(others.slice(1), 4)
    await until('it waits', async () => (await victim.call('calls')).claim > 0)
    await victim.kill()
    await leader.open()
    t.equal((await first).status, 200)
    inTime(t, 'a waiter was killed', await Promise.all(waiting))
    t.equal(data.runs('/plain/4'), 1)
    await leader.behave({})
    await lost
  }
}

t.test('kill -9 of one process: the others respond after the lease, and the key is used as before', async (t) => {
  await onAllStores(t, async (t, { choice }) => {
    const victims = Object.entries(PHASES)
    const all = await startPeers(t, choice, { options, count: victims.length + 3 })
    for (const [id, [name, phase]] of victims.entries()) {
      await t.test(name, async (t) => {
        const others = all.peers.slice(victims.length)
        await phase(t, all.peers[id]!, others, all)
        await isUsable(t, all, others, id)
      })
    }
    await t.test('all but one', async (t) => {
      const [leader, second, left] = all.peers.slice(victims.length) as [Peer, Peer, Peer]
      await leader.behave({ holds: true })
      leader.ask('/plain/9').catch(() => {})
      await leader.reached()
      second.ask('/plain/9').catch(() => {})
      const waiting = askEach([left], 9)
      await Promise.all([leader.kill(), second.kill()])
      inTime(t, 'all but one were killed', await Promise.all(waiting))
      await isUsable(t, all, [left], 9)
    })
  })
})

t.test('kill -9 of a process that refreshes: stale responses are served, and another refreshes after the lease', async (t) => {
  await onAllStores(t, async (t, { choice }) => {
    const all = await startPeers(t, choice, { options, count: 3, cache: { ttl: '1s', staleWhileRevalidate: '10m' } })
    const [victim, ...others] = all.peers as [Peer, ...Peer[]]
    const path = '/plain/1'
    const isStale = ({ cacheStatus }: PeerResponse): boolean => cacheStatus.includes('ttl=-')
    await others[0]!.ask(path)
    await victim.behave({ holds: true })
    await until('it is stale, and refreshed', async () => isStale(await victim.ask(path)))
    await victim.reached()
    const runs = all.data.runs(path)
    t.ok((await Promise.all(askEach(others, 1))).every(isStale))
    t.equal(all.data.runs(path), runs, 'only one refreshes')
    all.data.write(placeOf('plain', 1), 1)
    await victim.kill()
    const began = performance.now()
    await until('it is fresh', async () => (await Promise.all(askEach(others, 1))).every(({ number }) => number === 1))
    t.comment(`fresh again after ${(performance.now() - began).toFixed(0)} ms, with a lease of ${LEASE_MS} ms`)
    t.ok(performance.now() - began < LEASE_MS + SLACK_MS)
  })
})
