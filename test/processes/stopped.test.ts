// A process is stopped for longer than its lease, and goes on after others have invalidated and filled: it stores nothing old.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { onAllStores } from '../support/peer-stores.js'
import { pathOf, placeOf, tagOf, type PeerRoute } from '../support/peer-ways.js'
import { startPeers, type Peer } from '../support/peers.js'
import { until } from '../support/redis-server.js'

const LEASE_MS = 300
const options = { lease: `${LEASE_MS}ms` } as const

/** The routes, and what invalidates a response of each. */
const ROUTES: ReadonlyArray<readonly [route: PeerRoute, target: (id: number) => object]> = [
  ['plain', (id) => ({ url: pathOf('plain', id) })],
  ['function', (id) => ({ tags: [tagOf('function', id)] })],
  ['reply', (id) => ({ tags: [tagOf('reply', id)] })]
]

async function refused (peer: Peer): Promise<number> {
  return (await peer.stats()).refusals.invalidated ?? 0
}

t.test('stopped in its handler; another invalidates and fills; woken, it stores nothing, and counts that', async (t) => {
  await onAllStores(t, async (t, { choice }) => {
    const { peers, data } = await startPeers(t, choice, { options, count: 3 })
    const [a, b, c] = peers as [Peer, Peer, Peer]
    await a.behave({ holds: true })
    for (const [times, [route, target]] of ROUTES.entries()) {
      const [path, place] = [pathOf(route, 1), placeOf(route, 1)]
      const first = a.ask(path)
      await a.reached(times + 1)
      a.stop()
      await sleep(LEASE_MS * 2)
      data.write(place, 1)
      await b.invalidate(target(1))
      t.equal((await b.ask(path)).number, 1, 'B fills anew')
      a.goOn()
      await a.open()
      t.equal((await first).number, 0, 'it asked before')
      await until('it is counted', async () => await refused(a) === times + 1)
      for (const peer of peers) t.equal((await peer.ask(path)).number, 1, route)
      t.equal(data.runs(path), 2, route)
    }
    t.same((await a.stats()).errors, {})
    t.match(await a.call('warnings'), [/held up for longer than its lease/], 'one line, not three')
    for (const peer of [b, c]) t.same(await peer.call('warnings'), [])
  })
})

t.test('stopped in its handler; after the lease, another fills; woken, it does not store its older response', async (t) => {
  await onAllStores(t, async (t, { choice }) => {
    const { peers, data } = await startPeers(t, choice, { options, count: 3 })
    const [a, b] = peers as [Peer, Peer]
    const path = pathOf('plain', 2)
    await a.behave({ holds: true })
    const first = a.ask(path)
    await a.reached()
    a.stop()
    data.write(placeOf('plain', 2), 1)
    t.equal((await b.ask(path)).number, 1, 'B fills after the lease')
    a.goOn()
    await a.open()
    t.equal((await first).number, 0)
    await until('it is counted', async () => await refused(a) === 1)
    t.same((await a.stats()).refusals, { invalidated: 1 }, 'a store that refuses does not say why')
    for (const peer of peers) t.equal((await peer.ask(path)).number, 1)
  })
})

for (const point of ['claim', 'settle'] as const) {
  t.test(`stopped when it has sent its ${point}; another invalidates and fills; woken, all are given what is new`, async (t) => {
    await onAllStores(t, async (t, { choice }) => {
      const { peers, data } = await startPeers(t, choice, { options, count: 3 })
      const [a, b] = peers as [Peer, Peer]
      const path = pathOf('plain', 3)
      await a.call('signalAt', point, 'SIGSTOP')
      const first = a.ask(path).catch(() => {})
      await a.stopped()
      data.write(placeOf('plain', 3), 1)
      await b.invalidate({ url: path })
      t.equal((await b.ask(path)).number, 1)
      a.goOn()
      await first
      // Whatever is still to be sent has been sent when these calls have returned.
      await a.call('stats')
      for (const peer of peers) t.equal((await peer.ask(path)).number, 1)
    })
  })
}
