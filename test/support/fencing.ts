// The ways to invalidate a response, each with the route that it is meant for: the fencing tests run through them.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Test } from 'tap'
import type { ResponseCache, RouteCacheOptions } from '../../plugin.js'
import { build, type Spec, type TestApp } from './app.js'
import { Barrier } from './barrier.js'
import { Chaos } from './chaos.js'

export interface Way {
  readonly name: string
  /** Route options besides `ttl`. */
  readonly options?: RouteCacheOptions
  /** What the handler does besides sending the response. */
  readonly also?: (request: FastifyRequest, reply: FastifyReply) => void
  readonly invalidate: (cache: ResponseCache) => Promise<void>
  /** Only the handler's response tells what it is invalidated by. Requests that arrive meanwhile wait for it, and then look up again. */
  readonly late?: true
}

const byTag = async (cache: ResponseCache): Promise<void> => await cache.invalidate('news')

export const WAYS: readonly Way[] = [
  { name: 'a tag', options: { tags: ['news', 'more'] }, invalidate: byTag },
  { name: 'a tag that a function returns', options: { tags: () => ['news', 'more'] }, late: true, invalidate: byTag },
  { name: 'a tag of reply.cache()', also: (_request, reply) => { reply.cache({ tags: ['news', 'more'] }) }, late: true, invalidate: byTag },
  { name: 'a key', options: { key: () => 'the key' }, invalidate: async (cache) => await cache.invalidate({ key: 'the key' }) },
  { name: 'a URL', invalidate: async (cache) => await cache.invalidate({ url: '/a?b=1' }) },
  { name: 'an absolute URL', invalidate: async (cache) => await cache.invalidate({ url: 'http://test.example/a?b=1' }) },
  { name: 'a route', invalidate: async (cache) => await cache.invalidate({ route: '/a' }) },
  {
    name: 'a URL of a response that varies',
    also: (_request, reply) => { reply.header('vary', 'accept') },
    invalidate: async (cache) => await cache.invalidate({ url: '/a?b=1' })
  },
  { name: 'clear', invalidate: async (cache) => await cache.clear() }
]

export interface Fenced extends TestApp {
  readonly chaos: Chaos
  /** The first handler of the cached application stops here, after it has read its data. */
  readonly barrier: Barrier
  /** Sends a request, and returns the version of the data in the response. */
  version (): Promise<string>
  /** Changes the data and invalidates it in this way. */
  invalidated (): Promise<void>
}

export const TARGET = '/a?b=1'

/** The route of a way, on a backend that fails on command. */
export async function fenced (
  t: Test, on: { backend: string, options: object }, way: Way, { deadline = '50ms', ...spec }: Partial<Spec> = {}
): Promise<Fenced> {
  const chaos = new Chaos()
  const barrier = new Barrier()
  const built = await build(t, {
    deadline,
    ...spec,
    ...chaos.over(on as { backend: 'memory' }),
    routes: (app, { cached, ran, version }) =>
      app.get('/a', { config: { cache: { ttl: '1m', ...way.options } } }, async (request, reply) => {
        const seen = version()
        way.also?.(request, reply)
        if (ran() === 1 && cached) await barrier.pass()
        return await reply.header('x-version', seen).send('a')
      })
  })
  return {
    ...built,
    get cache () { return built.cache },
    chaos,
    barrier,
    version: async () => String((await built.ask(TARGET)).headers['x-version']),
    invalidated: async () => await built.change(async () => await way.invalidate(built.cache))
  }
}
