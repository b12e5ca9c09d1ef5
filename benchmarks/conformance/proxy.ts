// What is measured: a Fastify application whose one handler forwards to the suite's origin, with the cache in front of it.
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import responseCache, { rfc9111, type ResponseCacheOptions, type RouteCacheOptions } from 'fastify-response-cache'
import { request as ask, type IncomingHttpHeaders, type IncomingMessage, type InformationEvent } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'

/** What the route says of caching, by the name of the preset; `none` is the floor, an application without a cache. */
export const PRESETS = { default: true, rfc9111, none: false } as const satisfies Record<string, boolean | RouteCacheOptions>

export type Preset = keyof typeof PRESETS

/** Fields about one connection. `Connection` itself is passed on for what it lists: a cache has to drop that. */
const FRAMING = new Set(['keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade'])
const LARGEST_FASTIFY_STATUS = 599
/** What is measured is what the cache does, not how fast the machine is while it runs many tests side by side. */
const PATIENCE = '2s'
const LAST_ATTEMPT = 50
const PAUSE_MS = 100

export async function startProxy (
  preset: Preset, backend: ResponseCacheOptions, originPort: number
): Promise<{ app: FastifyInstance, url: string }> {
  const app = Fastify({ exposeHeadRoutes: false, logger: { level: 'error', stream: process.stderr } })
  // A method that Fastify doesn't know, and that is not safe.
  app.addHttpMethod('M-SEARCH', { hasBody: true })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  // An origin that breaks off is part of the suite: no line in the log.
  app.setErrorHandler((_err, _request, reply) => reply.code(502).send())
  await app.register(responseCache, { ...backend, deadline: PATIENCE })
  const method = app.supportedMethods
  const handler = async (request: FastifyRequest, reply: FastifyReply) => await forward(originPort, request, reply)
  app.route({ method, url: '/test/*', config: { cache: PRESETS[preset] }, handler })
  // How the suite tells its origin what to answer, and asks it what it saw.
  app.route({ method, url: '/*', handler })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  await answers(app)
  return { app, url }
}

/** Settles when the backend keeps what it is given: one of another process has yet to be connected to. */
async function answers (app: FastifyInstance): Promise<void> {
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
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    // A connection for each request: one that is used again may be closed by the origin at that moment.
    const asked = ask({ host: '127.0.0.1', port, agent: false, method, path: request.raw.url, headers: passedOn(headers) })
    asked.on('information', (interim) => relay(interim, reply))
    asked.on('response', resolve)
    asked.on('error', reject)
    asked.end(body)
  })
  const content = await buffer(answer)
  for (const [name, lines] of Object.entries(passedOn(answer.headersDistinct))) reply.header(name, lines!.length === 1 ? lines![0] : lines)
  const status = answer.statusCode as number
  // The origin's 999 says that the request should have had a condition; Fastify takes no such status.
  if (status > LARGEST_FASTIFY_STATUS) reply.raw.statusCode = status
  else reply.code(status)
  return reply.send(content.byteLength === 0 ? undefined : content)
}

/** RFC 9110 section 7.6.1, but for the fields that `Connection` lists. */
function passedOn<T extends IncomingHttpHeaders | NodeJS.Dict<string[]>> (fields: T): T {
  const kept = Object.entries(fields)
    .filter(([name, value]) => !FRAMING.has(name) && !(name === 'connection' && /^(?:close|keep-alive)$/i.test(String(value))))
  return Object.fromEntries(kept) as T
}

function relay ({ statusCode, headers }: InformationEvent, reply: FastifyReply): void {
  if (statusCode === 102) reply.raw.writeProcessing()
  if (statusCode === 103) reply.raw.writeEarlyHints(headers as Record<string, string>)
}
