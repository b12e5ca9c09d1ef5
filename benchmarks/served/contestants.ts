// The contestants of the benchmark. Each is a server in a child process, and all serve the same list of products, 1.2 KB of JSON.
import { createServer, type Server } from 'node:http'
import Fastify, { type FastifyInstance } from 'fastify'
import responseCache, { type ResponseCacheOptions } from 'fastify-response-cache'

/** One row of the report. */
export interface ContestantRow {
  readonly name: string
  readonly title: string
  /** The wrk script in this folder that creates the requests. Absent if all requests are the same. */
  readonly script?: 'unique.lua' | 'condition.lua' | 'variants.lua'
  /** The name of another row, besides the floor, with which this row is compared. */
  readonly beside?: string
}

/** The name of the row for Fastify alone, which is the floor. The other rows are shown as ratios to this row. */
export const FLOOR = 'fastify'

export const CONTESTANTS: readonly ContestantRow[] = [
  { name: 'http', title: 'node:http, prebuilt Buffer' },
  { name: FLOOR, title: 'Fastify, handler sends a prebuilt Buffer (the floor)' },
  { name: 'uncached', title: 'Fastify, handler returns the object, no cache', script: 'unique.lua' },
  { name: 'hit-memory', title: 'a hit from memory' },
  { name: 'hit-sqlite', title: 'a hit from SQLite' },
  { name: 'hit-304', title: 'a 304 from memory', script: 'condition.lua' },
  { name: 'hit-variants', title: 'a hit from memory, requests alternate among three variants (`Vary`)', script: 'variants.lua' },
  { name: 'miss', title: 'a miss, stored in memory', script: 'unique.lua', beside: 'uncached' }
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

/** Starts the server of a row. Returns it when it listens on a free port of 127.0.0.1. */
export async function start (name: string): Promise<Server> {
  if (name === 'http') {
    return await listen(createServer((_request, response) =>
      response.writeHead(200, { 'content-type': TYPE, 'content-length': BODY.byteLength }).end(BODY)))
  }
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
  'hit-304': async (app) => await cached(app, { backend: 'memory' }, { etag: '"1"' }),
  'hit-variants': async (app) => await cached(app, { backend: 'memory' }, { vary: 'accept-language' }),
  miss: async (app) => await cached(app, { backend: 'memory' })
}

async function cached (app: FastifyInstance, options: ResponseCacheOptions, fields: Record<string, string> = {}): Promise<void> {
  await app.register(responseCache, options)
  app.get('/item/:id', { config: { cache: { ttl: '1h' } } }, async (_request, reply) => {
    reply.headers(fields)
    return PRODUCTS
  })
}

async function listen (server: Server): Promise<Server> {
  return await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}
