// A Redis server that fails under four processes: no old response, nothing hangs, and each process runs a handler at most once at a time.
import t, { type Test } from 'tap'
import { redisStore } from '../support/peer-stores.js'
import { pathOf, placeOf } from '../support/peer-ways.js'
import { startPeers, type Peer, type PeerResponse, type Peers } from '../support/peers.js'
import { fileNeeds } from '../support/programs.js'
import { until, type RedisServer } from '../support/redis-server.js'
import { sized } from '../support/size.js'

fileNeeds(t, 'redis-server')

const HANDLER_MS = 200
const SLACK_MS = 4_000
const path = pathOf('plain', 1)
const place = placeOf('plain', 1)

async function begin (t: Test): Promise<Peers & { readonly server: RedisServer }> {
  const { choice, server } = await redisStore(t)
  const all = await startPeers(t, choice, { options: { deadline: '300ms', lease: '500ms' } })
  for (const peer of all.peers) await peer.behave({ ms: HANDLER_MS })
  return { ...all, server }
}

const askAll = async (peers: readonly Peer[], to = path): Promise<PeerResponse[]> =>
  await Promise.all(Array.from({ length: 200 }, async (_, at) => await peers[at % peers.length]!.ask(to)))

/** Everybody has a response in time, and no process ran the handler twice at a time. */
function areServed (t: Test, { data, peers }: Peers, responses: readonly PeerResponse[], to = path): void {
  t.ok(responses.every(({ status }) => status === 200))
  const slowestMs = Math.max(...responses.map(({ ms }) => ms))
  t.comment(`${data.runs(to)} runs, the slowest request took ${slowestMs.toFixed(0)} ms`)
  t.ok(slowestMs < HANDLER_MS + SLACK_MS)
  t.ok(data.mostAtOnce(to) <= peers.length)
}

/** Every process serves the present number, and in the end from the store. */
async function recovers (t: Test, { data, peers }: Peers, number: number): Promise<void> {
  data.write(place, number)
  await until('an invalidation holds', async () => await peers[0]!.invalidate({ url: path }).then(() => true, () => false))
  for (const peer of peers) t.equal((await peer.ask(path)).number, number)
  for (const peer of peers) await until('it is a hit', async () => / hit/.test((await peer.ask(path)).cacheStatus))
}

/** Lets the server have so many bytes more than it uses now. */
async function limit ({ admin }: RedisServer, policy: string, moreBytes: number): Promise<void> {
  const usedBytes = Number(/used_memory:(\d+)/.exec(await admin.info('memory'))?.[1])
  await admin.config('SET', 'maxmemory-policy', policy)
  await admin.config('SET', 'maxmemory', String(usedBytes + moreBytes))
}

const FILLERS = 40
const FILLER_BYTES = 16_384

/** Stores so much that the server has to evict what is there. */
/** Fills the memory. The server may refuse some of the fillers while it evicts. */
async function crowdOut ({ admin }: RedisServer): Promise<void> {
  await Promise.allSettled(Array.from({ length: FILLERS }, async (_, at) => await admin.set(`filler ${at}`, Buffer.alloc(FILLER_BYTES))))
}

for (const [name, fail, heal] of [
  ['down', async (server) => await server.kill(), async (server) => { await server.start() }],
  ['hung', async (server) => server.stop(), async (server) => server.goOn()]
] satisfies Array<[string, (server: RedisServer) => Promise<void>, (server: RedisServer) => Promise<void>]>) {
  t.test(`the server is ${name}: 200 requests are served, and an invalidation rejects`, async (t) => {
    const all = await begin(t)
    await fail(all.server)
    areServed(t, all, await askAll(all.peers))
    t.ok(all.data.runs(path) <= 4, 'at most one run in each process')
    await t.rejects(all.peers[1]!.invalidate({ url: path }), /CACHE_ERR_BACKEND_FAILED|backend/)
    await heal(all.server)
    await recovers(t, all, 1)
  })

  t.test(`the server is ${name} while a process fills: nothing hangs, and what was invalidated afterwards is gone`, async (t) => {
    const all = await begin(t)
    const [leader, ...others] = all.peers as [Peer, ...Peer[]]
    await leader.behave({ holds: true })
    const first = leader.ask(path)
    await leader.reached()
    const waiting = askAll(others)
    await until('they wait', async () => (await others[0]!.call('calls')).claim > 1)
    await fail(all.server)
    areServed(t, all, await waiting)
    await leader.open()
    t.equal((await first).status, 200)
    await leader.behave({})
    await heal(all.server)
    await recovers(t, all, 1)
  })
}

t.test('the server is restarted empty while a process fills: its response is not stored', async (t) => {
  const all = await begin(t)
  const [leader, other] = all.peers as [Peer, Peer]
  await leader.behave({ holds: true })
  const first = leader.ask(path)
  await leader.reached()
  await all.server.kill()
  await all.server.start()
  all.data.write(place, 1)
  await until('an invalidation holds', async () => await other.invalidate({ url: path }).then(() => true, () => false))
  await until('the leader is connected again', async () => await leader.invalidate({ url: '/plain/2' }).then(() => true, () => false))
  await leader.behave({})
  await leader.open()
  t.equal((await first).number, 0, 'it asked before')
  await until('it is refused', async () => (await leader.stats()).refusals.invalidated === 1)
  for (const peer of all.peers) t.equal((await peer.ask(path)).number, 1)
})

t.test('SCRIPT FLUSH between calls: one run, one refresh, and no errors', async (t) => {
  const all = await begin(t)
  for (let id = 0; id < sized(50); id++) {
    await all.server.admin.script('FLUSH')
    const asked = askAll(all.peers, pathOf('plain', id))
    await until('it runs', () => all.data.runs(pathOf('plain', id)) > 0)
    await all.server.admin.script('FLUSH')
    t.ok((await asked).every(({ status }) => status === 200))
    t.equal(all.data.runs(pathOf('plain', id)), 1)
  }
  await recovers(t, all, 1)
  for (const peer of all.peers) t.same((await peer.stats()).errors, {})
})

t.test('the server is full (noeviction): hits go on, misses are served, invalidations succeed', async (t) => {
  const all = await begin(t)
  t.ok((await askAll(all.peers)).every(({ status }) => status === 200))
  for (const peer of all.peers) await until('it is a hit', async () => / hit/.test((await peer.ask(path)).cacheStatus))
  await limit(all.server, 'noeviction', -100_000)
  const other = pathOf('plain', 2)
  areServed(t, all, await askAll(all.peers, other), other)
  for (const peer of all.peers) t.notMatch((await peer.ask(other)).cacheStatus, / hit/, 'nothing is stored')
  t.ok((await askAll(all.peers)).every(({ cacheStatus }) => / hit/.test(cacheStatus)), 'hits go on')
  all.data.write(place, 1)
  await all.peers[0]!.invalidate({ url: path })
  t.ok((await askAll(all.peers)).every(({ number }) => number === 1))
  await all.server.admin.config('SET', 'maxmemory', '0')
  await recovers(t, all, 2)
})

t.test('the server evicts everything (allkeys-lru): no old response, and everybody is served', async (t) => {
  const all = await begin(t)
  const { data, peers } = all
  for (const peer of peers) await peer.behave({})
  await limit(all.server, 'allkeys-lru', FILLERS * FILLER_BYTES / 2)
  let failed = 0
  for (let number = 1; number <= sized(500); number++) {
    for (const route of ['plain', 'function'] as const) {
      const to = pathOf(route, 1)
      const filling = peers[number % 4]!.ask(to)
      if (number % 2 === 0) await crowdOut(all.server)
      data.write(placeOf(route, 1), number)
      const target = route === 'plain' ? { url: to } : { tags: ['function-1'] }
      const isAcknowledged = await peers[(number + 1) % 4]!.invalidate(target).then(() => true, () => false)
      if (!isAcknowledged) failed++
      const responses = await Promise.all(peers.map(async (peer) => await peer.ask(to)))
      await filling
      if (isAcknowledged && !responses.every((one) => one.number === number)) t.fail(`${route} ${number}: ${JSON.stringify(responses)}`)
      if (!responses.every(({ status }) => status === 200)) t.fail(`${route} ${number}: not served`)
    }
  }
  const evicted = Number(/evicted_keys:(\d+)/.exec(await all.server.admin.info('stats'))?.[1])
  t.comment(`${failed} invalidations were refused, ${evicted} keys were evicted`)
  t.ok(evicted > FILLERS)
  const began = performance.now()
  await askAll(peers, pathOf('plain', 7))
  t.ok(performance.now() - began < SLACK_MS)
})
