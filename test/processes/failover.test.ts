// A failover by Sentinel under several processes: what the old master had not replicated is lost, unless `waitReplicas` is set.
import t, { type Test } from 'tap'
import { pathOf, placeOf } from '../support/peer-ways.js'
import { startPeers, type Peer, type Peers } from '../support/peers.js'
import { fileNeeds } from '../support/programs.js'
import { startSentinel, until, type Watched } from '../support/redis-server.js'

fileNeeds(t, 'redis-server')

const path = pathOf('plain', 1)
const place = placeOf('plain', 1)

interface Both extends Peers { readonly watched: Watched }

/** Peers that find the master through Sentinel. All of them, and the replica, have an entry. */
async function begin (t: Test, options: object = {}): Promise<Both> {
  const watched = await startSentinel(t, { isLinked: true })
  const connection = { sentinels: [{ host: '127.0.0.1', port: watched.sentinel.port }], name: 'main' }
  const all = await startPeers(t, { backend: 'redis', options: { connection, ...options } }, { options: { lease: '500ms' } })
  await all.peers[0]!.ask(path)
  for (const peer of all.peers) await until('it is a hit', async () => / hit/.test((await peer.ask(path)).cacheStatus))
  await until('the replica has it', async () => (await watched.replica.admin.dbsize()) > 0)
  return { ...all, watched }
}

/** Kills the master. Resolves when each peer has changed something on the new one. */
async function failOver ({ peers, watched }: Both): Promise<void> {
  await watched.master.kill()
  await until('the replica is the master', async () => (await watched.replica.admin.info('replication')).includes('role:master'))
  for (const peer of peers) {
    await until('it has found the new master', async () => await peer.invalidate({ url: '/plain/99' }).then(() => true, () => false))
  }
}

async function numbers (peers: readonly Peer[]): Promise<number[]> {
  return await Promise.all(peers.map(async (peer) => (await peer.ask(path)).number))
}

t.test('without waitReplicas, a failover loses an invalidation that the old master had not replicated', async (t) => {
  const all = await begin(t)
  all.watched.link!.hold()
  all.data.write(place, 1)
  await all.peers[0]!.invalidate({ url: path })
  await failOver(all)
  t.same(await numbers(all.peers), [0, 0, 0, 0], 'the old response is back')
  all.data.write(place, 2)
  await all.peers[1]!.invalidate({ url: path })
  t.same(await numbers(all.peers), [2, 2, 2, 2], 'the next invalidation holds')
})

t.test('with waitReplicas, such an invalidation rejects, and one that is acknowledged survives the failover', async (t) => {
  const all = await begin(t, { waitReplicas: { replicas: 1, timeout: '500ms' } })
  const waited = { holds: false }
  all.watched.link!.hold()
  all.data.write(place, 1)
  await t.rejects(all.peers[0]!.invalidate({ url: path }), /NOREPLICAS/)
  all.watched.link!.release()
  await until('it is acknowledged', async () => {
    waited.holds = await all.peers[0]!.invalidate({ url: path }).then(() => true, () => false)
    return waited.holds
  })
  await all.watched.master.kill()
  await until('the replica is the master', async () => (await all.watched.replica.admin.info('replication')).includes('role:master'))
  // There is no replica any more that could confirm anything.
  for (const peer of all.peers) await until('it is served from the new master', async () => / hit/.test((await peer.ask(path)).cacheStatus))
  t.same(await numbers(all.peers), [1, 1, 1, 1])
})

t.test('a failover while a process fills and others wait: everybody is served, and the key is used as before', async (t) => {
  const all = await begin(t)
  const [leader, ...others] = all.peers as [Peer, ...Peer[]]
  await leader.behave({ holds: true })
  const first = leader.ask('/plain/2')
  await leader.reached()
  const waiting = Array.from({ length: 60 }, async (_, at) => await others[at % 3]!.ask('/plain/2'))
  await failOver(all)
  await leader.open()
  const responses = await Promise.all([first, ...waiting])
  t.ok(responses.every(({ status }) => status === 200))
  t.ok(all.data.mostAtOnce('/plain/2') <= 4, 'at most one run in each process')
  all.data.write(place, 3)
  await leader.behave({})
  await others[0]!.invalidate({ url: path })
  t.same(await numbers(all.peers), [3, 3, 3, 3])
})
