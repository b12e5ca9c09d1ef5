// The cache service: serves any backend over HTTP to the backend `http` of other machines.
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { CacheBackend } from 'fastify-response-cache'
import { readBody } from './body.js'
import { Order } from './order.js'

/** The parts of the service. */
export interface ServiceSettings {
  /** Stores the entries. The service leaves it open. */
  readonly backend: CacheBackend
  /** Every request must carry it: `Authorization: Bearer <token>`. */
  readonly token: string
  /** The largest body of a request, in bytes. */
  readonly maxBodyBytes: number
  readonly logger?: boolean
}

/** On every PUT, and on every 200 to a GET: the instant at which the entry expires, in epoch milliseconds. */
const EXPIRES_AT_FIELD = 'cache-expires-at'

/** On PUT and DELETE: `<writer>/<number>`, so that a change that arrives late does not undo a later one. */
const CHANGE_FIELD = 'cache-change'

interface Named { Params: { digest: string } }

/** The service, ready to listen. */
export function cacheService ({ backend, token, maxBodyBytes, logger = false }: ServiceSettings): FastifyInstance {
  const app = Fastify({
    bodyLimit: maxBodyBytes,
    requestTimeout: 30_000,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    logger: logger && { level: 'warn' }
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', async (_request: FastifyRequest, payload: IncomingMessage) => await readBody(payload, maxBodyBytes))
  // The token is checked before the body is read.
  app.addHook('onRequest', bearer(token))
  app.setErrorHandler(async (error: Error & { statusCode?: number }, request, reply) => {
    const { statusCode = 500 } = error
    if (statusCode >= 500) request.log.error({ err: { type: error.name, message: error.message } }, 'the backend failed')
    return reply.code(statusCode).send({ error: statusCode >= 500 ? 'the backend failed' : error.message })
  })
  addEntries(app, backend)
  return app
}

/** Refuses requests without the token. */
function bearer (token: string): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | undefined> {
  // All digests have one length, so the time of the comparison reveals nothing.
  const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest()
  const expected = digestOf(`Bearer ${token}`)
  return async ({ headers }, reply) => {
    if (timingSafeEqual(digestOf(headers.authorization ?? ''), expected)) return undefined
    return reply.code(401).header('www-authenticate', 'Bearer').send({ error: 'the token is missing or wrong' })
  }
}

function addEntries (app: FastifyInstance, backend: CacheBackend): void {
  const order = new Order()
  const path = '/cache/:digest'

  app.addHook<Named>('preHandler', async ({ params, method, headers }, reply) => {
    if (params.digest === undefined) return undefined
    if (!/^[0-9a-f]{64}$/.test(params.digest)) return reply.code(400).send({ error: 'the key must be a SHA-256 digest in lower case hex' })
    const isChange = method === 'PUT' || method === 'DELETE'
    if (isChange && !order.admits(params.digest, headers[CHANGE_FIELD])) {
      return reply.code(409).send({ error: 'a later change of this entry has taken effect already' })
    }
    return undefined
  })

  app.get<Named>(path, async ({ params }, reply) => {
    const entry = await backend.get(params.digest)
    // No cache between the service and its client may store a response.
    reply.header('cache-control', 'no-store')
    if (entry === undefined) return reply.code(404).send({ error: 'there is no such entry' })
    const { value, expiresAt } = entry
    return reply.header(EXPIRES_AT_FIELD, String(expiresAt)).type('application/octet-stream')
      .send(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
  })

  app.put<Named>(path, async ({ params, headers, body }, reply) => {
    const expiresAt = readInstant(headers[EXPIRES_AT_FIELD])
    if (expiresAt === undefined) return reply.code(400).send({ error: `${EXPIRES_AT_FIELD} must be an instant in epoch milliseconds` })
    await backend.set(params.digest, { value: body instanceof Uint8Array ? body : Buffer.alloc(0), expiresAt })
    return reply.code(204).send()
  })

  app.delete<Named>(path, async ({ params }, reply) => {
    await backend.delete(params.digest)
    return reply.code(204).send()
  })
}

function readInstant (field: string | string[] | undefined): number | undefined {
  const instant = typeof field === 'string' && /^\d{1,16}$/.test(field) ? Number(field) : NaN
  return Number.isSafeInteger(instant) ? instant : undefined
}
