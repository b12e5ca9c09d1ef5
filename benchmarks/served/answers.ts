// What is compared: each answer is a server of its own, all of them give the same list of products, 1.2 KB of JSON.
import { createServer, type Server } from 'node:http'
import Fastify, { type FastifyInstance } from 'fastify'
import responseCache, { type ResponseCacheOptions } from 'fastify-response-cache'

/** One row of the report. */
export interface AnswerRow {
  readonly name: string
  readonly title: string
  /** Whether every request is for another URL. */
  readonly unique: boolean
  /** The row that this one is compared with, beside the floor. */
  readonly beside?: string
}

/** The floor is what Fastify itself costs: everything else is a ratio to it. */
export const FLOOR = 'fastify'

export const ANSWERS: readonly AnswerRow[] = [
  { name: 'http', title: 'node:http, prebuilt Buffer', unique: false },
  { name: FLOOR, title: 'Fastify, handler sends a prebuilt Buffer (the floor)', unique: false },
  { name: 'uncached', title: 'Fastify, handler answers the object, no cache', unique: true },
  { name: 'hit-memory', title: 'a hit from memory', unique: false },
  { name: 'hit-sqlite', title: 'a hit from SQLite', unique: false },
  { name: 'miss', title: 'a miss, stored in memory', unique: true, beside: 'uncached' }
]

const PRODUCTS = Array.from({ length: 10 }, (_, index) => ({
  id: 4711 + index,
  name: `Product number ${index}`,
  price: { amount: 1999 + index, currency: 'EUR' },
  tags: ['new', 'on stock'],
  inStock: index % 3 !== 0
}))
const BODY = Buffer.from(JSON.stringify(PRODUCTS))
const TYPE = 'application/json; charset=utf-8'

/** Starts the server of a row; answers it listening on a free port of 127.0.0.1. */
export async function start (name: string): Promise<Server> {
  if (name === 'http') return await listen(createServer((_request, response) => response.writeHead(200, { 'content-type': TYPE, 'content-length': BODY.byteLength }).end(BODY)))
  const app = Fastify({ exposeHeadRoutes: false })
  await ROUTES[name]!(app)
  await app.listen({ host: '127.0.0.1', port: 0 })
  return app.server
}

const ROUTES: Readonly<Record<string, (app: FastifyInstance) => unknown>> = {
  [FLOOR]: (app) => app.get('/item/:id', (_request, reply) => { reply.header('content-type', TYPE).send(BODY) }),
  uncached: (app) => app.get('/item/:id', async () => PRODUCTS),
  'hit-memory': async (app) => await cached(app, { backend: 'memory' }),
  'hit-sqlite': async (app) => await cached(app, { backend: 'sqlite', options: { path: process.env.BENCH_SQLITE_PATH as string } }),
  miss: async (app) => await cached(app, { backend: 'memory' })
}

async function cached (app: FastifyInstance, options: ResponseCacheOptions): Promise<void> {
  await app.register(responseCache, options)
  app.get('/item/:id', { config: { cache: { ttl: '1h' } } }, async () => PRODUCTS)
}

async function listen (server: Server): Promise<Server> {
  return await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}
