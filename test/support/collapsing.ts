// Concurrent requests for one key, wherever they may be collapsed: on each backend, over HTTP/1.1 and HTTP/2, with and without hooks.
import type { Test } from 'tap'
import { build, databasePath, type Spec } from './app.js'
import { turns, until } from './barrier.js'
import { Chaos } from './chaos.js'
import type { Ask, ClientResponse } from './client.js'
import { serverPrograms, startServer } from './redis-server.js'
import { inTurn } from './size.js'

/** Where a test runs. */
export interface Where {
  readonly backend: string
  readonly options: object
  readonly via: 'socket' | 'h2'
  readonly isHooked: boolean
}

/** Runs the test on memory, SQLite and Redis, over each protocol, with and without a hook. In reduced size, a part of these. */
export async function everywhere (t: Test, run: (t: Test, where: Where) => Promise<void>): Promise<void> {
  const redis = serverPrograms().includes('redis-server') ? await startServer(t) : undefined
  const backends = [
    { backend: 'memory', options: () => ({}) },
    { backend: 'sqlite', options: (t: Test) => ({ path: databasePath(t) }) },
    ...(redis === undefined ? [] : [{ backend: 'redis', options: () => ({ connection: { host: '127.0.0.1', port: redis.port } }) }])
  ]
  const places = backends.flatMap(({ backend, options }) => (['socket', 'h2'] as const).flatMap((via) => [false, true].map((isHooked) =>
    ({ backend, options, via, isHooked }))))
  let number = 0
  for (const { backend, options, via, isHooked } of inTurn(places)) {
    const name = `on ${backend}, over ${via === 'h2' ? 'HTTP/2' : 'HTTP/1.1'}${isHooked ? ', with an onSend hook' : ''}`
    const namespace = `n${number++}`
    const apart = backend === 'redis' ? { prefix: `${namespace}:` } : {}
    await t.test(name, async (t) => await run(t, { backend, options: { ...options(t), ...apart }, via, isHooked }))
  }
}

/** An application in one of these places. */
export async function collapsing (t: Test, { backend, options, via, isHooked }: Where, spec: Partial<Spec> & Pick<Spec, 'routes'>) {
  const chaos = new Chaos()
  const built = await build(t, {
    deadline: '5s',
    compare: false,
    fastify: { http2: via === 'h2' },
    ...chaos.over({ backend, options } as { backend: 'memory' }),
    before (app, probe) {
      app.addHook('preHandler', async () => { probe.ran('asked') })
      if (isHooked) app.addHook('onSend', async (_request, _reply, payload) => payload)
    },
    ...spec
  })
  return {
    ...built,
    chaos,
    ask: async (ask: Omit<Ask, 'url'> & { url?: string } = {}): Promise<ClientResponse> => await built.ask({ url: '/', via, ...ask }),
    /** Resolves once this many requests have come, and those that collapse are waiting. */
    asked: async (count: number): Promise<void> => {
      await until(() => built.runs('asked') === count)
      await until(async () => (await built.cache.stats()).misses + (await built.cache.stats()).hits >= count)
      await turns()
    },
    stats: async () => await built.cache.stats()
  }
}

export const many = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at))
