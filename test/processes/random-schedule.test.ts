// A random schedule of requests, invalidations of all ways, and processes that are stopped and woken: an oracle knows how old a response
// may be. PROCESSES_SEED plays a schedule again, as far as the machine repeats it.
import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { LISTED_IDS, pathOf, placeOf, ROUTES, tagOf, type PeerRoute } from '../support/peer-ways.js'
import { onAllStores } from '../support/peer-stores.js'
import { startPeers, type Peer } from '../support/peers.js'
import { isFull, sized } from '../support/size.js'

/** On each store. */
const ROUNDS = sized(10_000)
const ACTORS = 12
const IDS = Math.min(3, LISTED_IDS)
const CHANGED_EVERY = 4

function randomFrom (seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(state / 2 ** 32 * below)
  }
}

interface Target { readonly route: PeerRoute, readonly id: number }

/** Everything that a change concerns. */
const TARGETS: readonly Target[] = ROUTES.flatMap((route) => Array.from({ length: IDS }, (_, id) => ({ route, id })))

interface Way {
  readonly name: string
  readonly routes: readonly PeerRoute[]
  /** Whether it concerns all ids. */
  readonly isWide?: boolean
  /** Changes the data cache, so that the order of changes is the application's own concern: one at a time. */
  readonly isAlone?: boolean
  invalidate (peer: Peer, path: string, target: Target, number: number): Promise<unknown>
}

const byTag = (soft?: true) => async (peer: Peer, _path: string, { route, id }: Target): Promise<void> =>
  await peer.invalidate({ tags: [tagOf(route, id)], ...(soft && { soft }) })

const TAGGED: readonly PeerRoute[] = ['listed', 'function', 'reply']
const RESPONSES: readonly PeerRoute[] = ['plain', 'function', 'reply']

const WAYS: readonly Way[] = [
  { name: 'url', routes: RESPONSES, invalidate: (peer, url) => peer.invalidate({ url }) },
  { name: 'POST', routes: ['plain'], invalidate: (peer, path) => peer.ask(path, 'POST') },
  { name: 'route', routes: RESPONSES, isWide: true, invalidate: (peer, _, { route }) => peer.invalidate({ route: `/${route}/:id` }) },
  { name: 'key', routes: ['keyed'], invalidate: (peer, _, { route, id }) => peer.invalidate({ key: tagOf(route, id) }) },
  { name: 'tag', routes: [...TAGGED, 'tagged-value'], invalidate: byTag() },
  { name: 'soft', routes: TAGGED, invalidate: byTag(true) },
  { name: 'delete', routes: ['value'], isAlone: true, invalidate: (peer, _, { id }) => peer.call('delete', `value-${id}`) },
  {
    name: 'set',
    routes: ['value'],
    isAlone: true,
    invalidate: (peer, _, { id }, number) => peer.call('set', `value-${id}`, { number }, { ttl: '10m' })
  },
  { name: 'clear', routes: ROUTES, isWide: true, isAlone: true, invalidate: (peer) => peer.call('clear') }
]

t.test('no response is older than the last acknowledged invalidation when it was asked for', { timeout: 300_000 }, async (t) => {
  const seed = Number(process.env.PROCESSES_SEED ?? Date.now() % 1_000_000)
  t.comment(`PROCESSES_SEED=${seed}`)
  await onAllStores(t, async (t, { choice, name }) => {
    const random = randomFrom(seed)
    const pick = <T>(list: readonly T[]): T => list[random(list.length)]!
    const { peers, data } = await startPeers(t, choice, { options: { lease: '150ms' } })
    for (const peer of peers) await peer.behave({ ms: 4 })
    const acknowledged = new Map<string, number>()
    const failures: string[] = []
    const counts: Record<string, number> = {}
    let [number, left, rejected] = [0, ROUNDS, 0]
    let alone: Promise<unknown> = Promise.resolve()

    const change = async (): Promise<void> => {
      const way = pick(WAYS)
      const target: Target = { route: pick(way.routes), id: random(IDS) }
      const peer = pick(peers)
      const act = async (): Promise<void> => {
        const concerned = TARGETS.filter(({ route, id }) =>
          way.name === 'clear' || (route === target.route && (way.isWide === true || id === target.id)))
        const present = ++number
        for (const { route, id } of concerned) data.write(placeOf(route, id), present)
        await way.invalidate(peer, pathOf(target.route, target.id), target, present)
        for (const { route, id } of concerned) {
          const path = pathOf(route, id)
          acknowledged.set(path, Math.max(acknowledged.get(path) ?? 0, present))
        }
        counts[way.name] = (counts[way.name] ?? 0) + 1
      }
      const acted = way.isAlone === true ? alone = alone.then(act, act) : act()
      await acted.catch(() => { rejected++ })
    }
    const ask = async (): Promise<void> => {
      const { route, id } = pick(TARGETS)
      const path = pathOf(route, id)
      const least = acknowledged.get(path) ?? 0
      const peer = pick(peers)
      const { status, number: got, cacheStatus } = await peer.ask(path)
      if (status === 200 && got >= least) return
      const { errors, claims } = await peer.stats()
      failures.push(`${path}: ${got} for ${least} (${status}, ${cacheStatus}, ${JSON.stringify({ errors, claims })})`)
    }
    const actor = async (): Promise<void> => {
      while (left-- > 0) {
        await (random(CHANGED_EVERY) === 0 ? change() : ask())
      }
    }
    /** Stops one process after another, for longer or shorter than a lease. */
    const stopper = async (): Promise<void> => {
      for (const isOver = (): boolean => left <= 0; !isOver();) {
        const peer = pick(peers)
        peer.stop()
        await sleep(20 + random(280))
        peer.goOn()
        await sleep(50 + random(100))
      }
    }
    const began = performance.now()
    await Promise.all([stopper(), ...Array.from({ length: ACTORS }, actor)])
    const seconds = (performance.now() - began) / 1_000
    t.same(failures.slice(0, 10), [], `${failures.length} failures of ${ROUNDS} rounds on ${name}`)
    const stats = await Promise.all(peers.map(async (peer) => await peer.stats()))
    const refused = stats.reduce((sum, { refusals }) => sum + (refusals.invalidated ?? 0), 0)
    t.comment(`${ROUNDS} rounds in ${seconds.toFixed(1)} s: ${JSON.stringify(counts)}`)
    t.comment(`${refused} fills were refused, ${rejected} changes rejected`)
    t.ok(refused > 0 || !isFull, 'some fills were invalidated while they ran')
    t.ok(rejected <= ROUNDS / 20)
  })
})
