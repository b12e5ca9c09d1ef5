// The fuzzed application: its hooks and routes, on a port, with the cache or without.
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import responseCache, { type ResponseCacheOptions } from '../../plugin.js'
import { handle, write } from './handlers.js'
import { addHooks } from './hooks.js'
import { TTL_S, type Asked } from './plan.js'
import { ROUTES, type FuzzRoute } from './routes.js'
import type { Sabotage } from './sabotages.js'
import type { World } from './world.js'

/** Calls of the backend are never late here, and whoever waits for a held handler waits until it is released. */
const PATIENT = { deadline: '5s', lockTimeout: '20s' }

export async function application (
  world: World, backend: ResponseCacheOptions | undefined, sabotage: Sabotage | undefined
): Promise<FastifyInstance> {
  const { plan, clock } = world
  const app = Fastify({
    http2: plan.protocol === 'http2', trustProxy: plan.trustsProxy, forceCloseConnections: true
  } as object) as unknown as FastifyInstance
  app.addHook('onRequest', async (request, reply) => {
    const sent = world.sentFor(request)
    if (sent !== undefined) reply.header('x-echo', sent.id)
    arrive(world, request)
  })
  app.addHook('onResponse', async (request, reply) => {
    const sent = world.sentFor(request)
    if (sent !== undefined && request.isCacheRefresh !== true) sent.seenAfter = reply.getHeader('x-run') as string | undefined
  })
  if (plan.first) addHooks(app, world)
  if (backend !== undefined) await app.register(responseCache, { ...backend, ...PATIENT, now: clock.now } as ResponseCacheOptions)
  if (!plan.first) addHooks(app, world)
  // What a hook has set of the type is not for an object.
  app.setNotFoundHandler(async (_request, reply) => await reply.code(404).type('text/plain').send('nothing'))
  for (const route of ROUTES) addRoute(app, world, { ...route, options: { ...route.options, ...sabotage?.options } })
  if (sabotage?.spoils !== undefined) spoil(app, sabotage.spoils)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app
}

function addRoute (app: FastifyInstance, world: World, route: FuzzRoute): void {
  const { pattern: url, method, options } = route
  app.route({
    url,
    method,
    config: { cache: { ttl: TTL_S, ...world.plan.profile, ...options } },
    handler: async (request, reply) => await handle(world, route, { request, reply })
  })
  if (method === 'GET') {
    app.route({ url, method: ['PUT', 'DELETE'], handler: async (request, reply) => await write(world, { request, reply }) })
  }
}

/** Changes hits once more behind what the cache does. */
function spoil (app: FastifyInstance, what: Sabotage['spoils']): void {
  app.addHook('onSend', async (_request, reply, payload) => {
    if (!/; hit/.test(String(reply.getHeader('cache-status')))) return payload
    if (what === 'fields') reply.header('x-echo', 'another')
    return what === 'body' && typeof payload === 'string' ? `${payload} ` : payload
  })
}

/** Looks at the request as the first hook finds it: as its client sent it, also where it is a refresh. */
function arrive (world: World, request: FastifyRequest): void {
  const sent = world.sentFor(request)
  if (sent === undefined) return
  sent.arrived = true
  const { asked, target, host } = sent
  const { authorization, cookie } = request.headers
  const came = JSON.stringify([request.raw.url, request.host, authorization, cookie])
  const expected = JSON.stringify([target, host, ...credentials(asked)])
  if (came !== expected) world.fault('refresh', `${came} was asked for ${expected}`)
}

const credentials = ({ auth, sid }: Asked): Array<string | undefined> => [
  auth === undefined ? auth : `Bearer ${auth}`, sid === undefined ? sid : `sid=${sid}`
]
