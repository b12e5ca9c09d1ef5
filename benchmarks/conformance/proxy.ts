// The application under test: a Fastify application with the cache. Its only handler forwards requests to the suite's origin.
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import responseCache, { rfc9111, type ResponseCacheOptions, type RouteCacheOptions } from 'fastify-response-cache'
import { request as ask, type IncomingHttpHeaders, type IncomingMessage, type InformationEvent } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'

/** The route's cache options for each preset. `none` is an application without a cache, for comparison. */
export const PRESETS = { default: true, rfc9111, none: false } as const satisfies Record<string, boolean | RouteCacheOptions>

export type Preset = keyof typeof PRESETS

/** Header fields that apply to one connection. `Connection` itself is passed on, because the cache must drop the fields that it lists. */
const FRAMING = new Set(['keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade'])
const LARGEST_FASTIFY_STATUS = 599
/** The cache's deadline. It is long, because many tests run at the same time, and the tests are not about the machine's speed. */
const PATIENCE = '2s'
const LAST_ATTEMPT = 50
const PAUSE_MS = 100

export async function startProxy (
  preset: Preset, backend: ResponseCacheOptions, originPort: number
): Promise<{ app: FastifyInstance, url: string }> {
  const app = Fastify({ exposeHeadRoutes: false, logger: { level: 'error', stream: process.stderr } })
  // The suite uses this unsafe method, which Fastify doesn't know.
  app.addHttpMethod('M-SEARCH', { hasBody: true })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  // The suite's origin breaks off responses on purpose, so errors are not logged.
  app.setErrorHandler((_err, _request, reply) => reply.code(502).send())
  await app.register(responseCache, { ...backend, deadline: PATIENCE })
  const method = app.supportedMethods
  const handler = async (request: FastifyRequest, reply: FastifyReply) => await forward(originPort, request, reply)
  app.route({ method, url: '/test/*', config: { cache: PRESETS[preset] }, handler })
  // The suite uses this route to tell its origin how to respond, and to ask what the origin received.
  app.route({ method, url: '/*', handler })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  await ready(app)
  return { app, url }
}

/** Settles when the backend stores entries. A backend in another process has to connect first. */
async function ready (app: FastifyInstance): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await app.cache.set('ready', true, { ttl: '1s' })
    } catch (err) {
      if (attempt === LAST_ATTEMPT) throw err
      await setTimeout(PAUSE_MS)
    }
  }
}

async function forward (port: number, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { method, headers, body } = request
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    // Each request has its own connection, because the origin may close a connection just when it is used again.
    const forwarded = ask({ host: '127.0.0.1', port, agent: false, method, path: request.raw.url, headers: passedOn(headers) })
    forwarded.on('information', (interim) => relay(interim, reply))
    forwarded.on('response', resolve)
    forwarded.on('error', reject)
    forwarded.end(body)
  })
  const content = await buffer(response)
  for (const [name, lines] of Object.entries(passedOn(response.headersDistinct))) {
    reply.header(name, lines!.length === 1 ? lines![0] : lines)
  }
  const status = response.statusCode as number
  // With the status 999, the origin says that the request should have been conditional. Fastify's own API doesn't accept this status.
  if (status > LARGEST_FASTIFY_STATUS) reply.raw.statusCode = status
  else reply.code(status)
  return reply.send(content.byteLength === 0 ? undefined : content)
}

/** Returns the fields that RFC 9110 section 7.6.1 allows to be passed on, and also those that `Connection` lists. */
function passedOn<T extends IncomingHttpHeaders | NodeJS.Dict<string[]>> (fields: T): T {
  const kept = Object.entries(fields)
    .filter(([name, value]) => !FRAMING.has(name) && !(name === 'connection' && /^(?:close|keep-alive)$/i.test(String(value))))
  return Object.fromEntries(kept) as T
}

function relay ({ statusCode, headers }: InformationEvent, reply: FastifyReply): void {
  if (statusCode === 102) reply.raw.writeProcessing()
  if (statusCode === 103) reply.raw.writeEarlyHints(headers as Record<string, string>)
}
