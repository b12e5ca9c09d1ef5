// Several applications on one store, as several processes have it: each has a cache of its own, and all of them share the entries.
import Fastify, { type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import responseCache, { builtIns, type CommonOptions, type ResponseCache, type ResponseCacheOptions } from '../../plugin.js'
import type { BackendChoice } from '../../registry/names.js'
import type { RedisOptions } from '../../backends/redis.js'
import { defineBackend } from '../../registry/registry.js'
import { databasePath } from './app.js'
import { Barrier, turns } from './barrier.js'
import { Chaos } from './chaos.js'
import { send, type Ask, type ClientResponse } from './client.js'
import { testClock, type JumpyClock } from './clock.js'
import { mapBackend } from './map-backend.js'
import { redisStores } from './peer-stores.js'

/** A store that several caches share. */
export interface SharedStore {
  readonly name: string
  /** Opens a backend on it. */
  readonly choice: () => { backend: string, options: object, registry: ReturnType<typeof builtIns> }
}

/**
 * Runs a test on each store that has claims: a Map, whose calls return at once or later, SQLite and Redis; with FULL=1 also on a Cluster
 * and on a server behind Sentinel.
 */
export async function onEachStore (t: Test, run: (t: Test, store: SharedStore) => Promise<void>): Promise<void> {
  const stores: Array<(t: Test) => SharedStore> = [
    () => mapStore('a Map'),
    () => mapStore('a Map that responds later', true),
    (t) => builtIn('SQLite', { backend: 'sqlite', options: { path: databasePath(t) } })
  ]
  for (const { name, choice } of await redisStores(t)) {
    stores.push(() => builtIn(name, { backend: 'redis', options: { ...choice.options as RedisOptions, prefix: `n${prefixes++}:` } }))
  }
  for (const store of stores) await t.test(`on ${store(t).name}`, async (t) => await run(t, store(t)))
}

let prefixes = 0

function builtIn (name: string, choice: BackendChoice): SharedStore {
  return { name, choice: () => ({ ...choice as { backend: string, options: object }, registry: builtIns() }) }
}

function mapStore (name: string, isLate = false): SharedStore {
  const entries = new Map()
  const create = (_: object, { now }: { now: () => number }) => {
    const backend = { ...mapBackend(now, entries), close () {} }
    const chaos = new Chaos()
    if (isLate) for (const method of [...chaos.all, chaos.claim, chaos.settle, chaos.version]) method.later()
    return chaos.wrap(backend)
  }
  const registry = () => builtIns().add('shared' as 'memory', () => defineBackend({ name: 'shared', create }))
  return { name, choice: () => ({ backend: 'shared', options: {}, registry: registry() }) }
}

/** What the routes of one application receive. */
export interface ProcessProbe {
  /** The number of the application. */
  readonly at: number
  /** Counts a run of the handler. Returns how many there were in all applications. */
  ran (): number
  /** The data: it is changed by the test, and read by handlers when they start. */
  data (): string
  readonly barrier: Barrier
}

export interface Process {
  readonly app: FastifyInstance
  readonly cache: ResponseCache
  ask (ask?: Partial<Ask>): Promise<ClientResponse>
}

export interface Several {
  readonly processes: readonly Process[]
  readonly clock: JumpyClock
  /** The handlers of application `at` wait at it. */
  readonly barriers: readonly Barrier[]
  runs (): number
  /** Changes the data that handlers read. */
  change (to: string): void
}

export interface SeveralSpec extends Omit<CommonOptions, 'now'> {
  readonly count?: number
  routes (app: FastifyInstance, probe: ProcessProbe): unknown
}

/** Starts applications with the same routes on one store. */
export async function several (t: Test, store: SharedStore, { count = 2, routes, ...options }: SeveralSpec): Promise<Several> {
  const clock = testClock()
  const barriers = Array.from({ length: count }, () => new Barrier())
  let [runs, data] = [0, 'old']
  const processes = await Promise.all(barriers.map(async (barrier, at): Promise<Process> => {
    const app = Fastify({ logger: false })
    await app.register(responseCache, { deadline: '5s', ...options, ...store.choice(), now: clock.now } as unknown as ResponseCacheOptions)
    await routes(app, { at, barrier, ran: () => ++runs, data: () => data })
    await app.ready()
    t.teardown(async () => await app.close())
    return { app, cache: app.cache, ask: async (ask) => await send(app, { url: '/', ...ask }) }
  }))
  return { processes, clock, barriers, runs: () => runs, change: (to) => { data = to } }
}

/** Lets everything happen that needs no time, on any store. */
export async function settled (): Promise<void> {
  for (let at = 0; at < 5; at++) {
    await new Promise((resolve) => setTimeout(resolve, 2))
    await turns()
  }
}
