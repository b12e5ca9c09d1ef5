// What requests and invalidations of an application cost the store: hits, misses and invalidations, with and without tags and claims.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import Fastify, { type FastifyInstance } from 'fastify'
import responseCache, { type ResponseCacheOptions } from 'fastify-response-cache'
import { rounded } from '../core/statistics.js'
import { cpuUsBy, figureIn, spentBy, type Spent } from './redis-spent.js'

const TIMES = 400
/** More are needed where CPU time is measured, because each uses little. */
const TIMES_FOR_CPU = 4_000
const AT_A_TIME = 32
const BODY_BYTES = 1_000

/** What one request, or one invalidation, costs. */
export interface Cost extends Spent {
  readonly name: string
  /** The CPU time of the server, if one is under way at a time, and if 32 are. */
  readonly cpuAloneUs: number
  readonly cpuUs: number
}

/** How much memory Redis uses for each key of a kind. */
export interface Memory { readonly name: string, readonly bytes: number, readonly valueBytes: number }

type Act = (path: string) => Promise<unknown>

/** Opens an application on the server. Each route has its own tags. */
async function open (url: string, options: Partial<ResponseCacheOptions>): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(responseCache, { backend: 'redis', options: { url }, deadline: '5s', ...options } as ResponseCacheOptions)
  const body = { text: 'x'.repeat(BODY_BYTES - 11) }
  const route = (path: string, tags: readonly string[] | (() => string[])): void => {
    app.get(`${path}/:id`, { config: { cache: { ttl: '10m', tags } } } as never, async () => body)
  }
  route('/plain', [])
  route('/one', ['products'])
  route('/three', ['products', 'prices', 'stock'])
  route('/late', () => ['products'])
  await app.ready()
  return app
}

export async function measureRequests (url: string, server: Redis): Promise<{ requests: Cost[], connections: number }> {
  // The connections of what was measured before are closed soon.
  while (await clientsOf(server) > 1) await sleep(10)
  const app = await open(url, {})
  await app.inject({ path: '/plain/first', headers: { host: 'shop.example' } })
  const connections = await clientsOf(server) - 1
  const without = await open(url, { lease: false, namespace: 'without' })
  const get = (of: FastifyInstance): Act => async (path) => await of.inject({ path, headers: { host: 'shop.example' } })
  const costs: Cost[] = []
  const add = async (name: string, path: string, act: Act, prepare?: Act): Promise<void> => {
    costs.push(await measured(server, { name, path, act, ...(prepare !== undefined && { prepare }) }))
  }
  try {
    await add('a hit, no tags', '/plain/hit', get(app), get(app))
    await add('a hit, one tag', '/one/hit', get(app), get(app))
    await add('a hit, three tags', '/three/hit', get(app), get(app))
    await add('a miss, no tags, without claims', '/plain/other', get(without))
    await add('a miss, no tags', '/plain/miss', get(app))
    await add('a miss, one tag that the route lists', '/one/miss', get(app))
    await add('a miss, one tag from a function', '/late/miss', get(app))
    await add('an invalidation by URL', '/plain/url', async (path) => await app.cache.invalidate({ url: `http://shop.example${path}` }), get(app))
    await add('an invalidation by tag', '/tag', async (path) => await app.cache.invalidate(`tag ${path}`))
  } finally {
    await Promise.all([app.close(), without.close()])
  }
  return { requests: costs, connections }
}

async function clientsOf (server: Redis): Promise<number> {
  return figureIn(await server.info('clients'), 'connected_clients')
}

async function measured (
  server: Redis, { name, path, act, prepare = act }: { name: string, path: string, act: Act, prepare?: Act }
): Promise<Cost> {
  const paths = (kind: string, times: number): string[] =>
    Array.from({ length: times }, (_, number) => `${path}-${kind}-${String(number).padStart(6, '0')}`)
  const [apart, alone, together] = [paths('a', TIMES), paths('b', TIMES_FOR_CPU), paths('c', TIMES_FOR_CPU)]
  // The first ones also open connections, send the texts of scripts and make stamps.
  for (const warm of paths('d', 50)) {
    await prepare(warm)
    await act(warm)
  }
  if (prepare !== act || name.startsWith('a hit')) for (const one of [...apart, ...alone, ...together]) await prepare(one)
  const spent = await spentBy(server, TIMES, async () => { for (const one of apart) await act(one) })
  const cpuAloneUs = await cpuUsBy(server, TIMES_FOR_CPU, async () => { for (const one of alone) await act(one) })
  const cpuUs = await cpuUsBy(server, TIMES_FOR_CPU, async () => {
    for (let at = 0; at < TIMES_FOR_CPU; at += AT_A_TIME) await Promise.all(together.slice(at, at + AT_A_TIME).map(act))
  })
  return { name, ...spent, cpuAloneUs: rounded(cpuAloneUs, 1), cpuUs: rounded(cpuUs, 1) }
}

/** Measures the keys that the requests have left. */
export async function measureMemory (server: Redis): Promise<Memory[]> {
  const found = async (name: string, pattern: string): Promise<Memory> => {
    const keys: string[] = []
    for (let cursor = '0'; keys.length === 0;) {
      const [next, some] = await server.scan(cursor, 'MATCH', pattern, 'COUNT', 1_000)
      keys.push(...some)
      cursor = next
      if (cursor === '0') break
    }
    const key = keys[0]
    if (key === undefined) throw new Error(`no key matches ${pattern}`)
    return { name, bytes: Number(await server.call('MEMORY', 'USAGE', key)), valueBytes: await server.strlen(key) }
  }
  const claimed = 'frc:claimed:GET shop.example /plain/claimed-000000'
  await server.set(claimed, Buffer.alloc(48), 'PX', 600_000)
  return [
    await found('an entry with a body of 1000 bytes, no tags', 'frc:*/plain/miss-a-*'),
    await found('the same with one tag', 'frc:*/one/miss-a-*'),
    await found('a stamp (each tag has two)', 'frc:*t *products*'),
    await found('a key that is claimed and has no entry', claimed)
  ]
}
