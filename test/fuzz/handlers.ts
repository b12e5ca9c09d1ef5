// The handlers of the fuzzed application: each knows for whom it makes what, and notes down what it made.
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { wrapped } from './hooks.js'
import type { Asked } from './plan.js'
import type { FuzzRoute } from './routes.js'
import type { Run, World } from './world.js'

interface Exchange { readonly request: FastifyRequest, readonly reply: FastifyReply }

export const TYPE = 'application/json; charset=utf-8'
/** Characters of padding, by the id of what is asked for: one piece, several, and more than a socket takes at once. */
const PADDING = [0, 40, 3_000, 150_000]
const UNSHARED: ReadonlyArray<Asked['mood']> = ['private', 'cookie', 'trailer', 'hijack']

export async function handle (world: World, route: FuzzRoute, { request, reply }: Exchange): Promise<unknown> {
  const sent = world.sentFor(request)
  if (sent === undefined) return await reply.send()
  const { asked } = sent
  const { id, who } = request.params as { id: string, who?: string }
  const [ran, meant] = [JSON.stringify([route.name, id, who]), JSON.stringify([asked.route, String(asked.id), asked.who])]
  if (ran !== meant) world.fault('refresh', `the handler of ${ran} ran for ${meant}`)
  const run = world.begin(sent, request.isCacheRefresh === true)
  const document = documentOf(world, run)
  if (asked.held === 'start' || (asked.held === 'middle' && !isStreamed(asked))) await world.gates.get(sent.id)?.pass()
  run.isUnshared = UNSHARED.includes(asked.mood) || asked.directive === 'no-store'
  if (asked.mood !== 'untagged') reply.header('etag', run.etag)
  reply.headers(route.fields)
  const isNamed = request.headers['if-none-match']?.split(/, */).includes(run.etag) === true
  if (isNamed && asked.mood === undefined) return await notModified(world, run, reply)
  reply.header('x-run', run.id)
  return await (ENDINGS[asked.mood ?? ''] ?? send)(world, run, { request, reply, document })
}

/** A write: what it changes is new from its start on, and everybody is told once its client has the response. */
export async function write (world: World, { request, reply }: Exchange): Promise<unknown> {
  const sent = world.sentFor(request)
  if (sent === undefined) return await reply.send()
  const { mood, held } = sent.asked
  const isFailing = mood !== undefined && ['throw', '503', '404', 'throw404', 'callNotFound'].includes(mood)
  if (!isFailing) sent.change = world.change(({ route, target, host }) => route.isPlain && target === sent.target && host === sent.host)
  if (held !== undefined) await world.gates.get(sent.id)?.pass()
  return await reply.code(isFailing ? 409 : 200).send('written')
}

type Ending = (world: World, run: Run, made: Exchange & { readonly document: object }) => unknown

/** How a handler ends, by its mood. */
const ENDINGS: { readonly [mood: string]: Ending } = {
  throw: (world, run) => fail(world, run, 500),
  throw404: (world, run) => fail(world, run, 404),
  503: async (world, run, made) => await send(world, run, { ...made, status: 503 }),
  404: async (world, run, made) => await send(world, run, { ...made, status: 404 }),
  callNotFound: async (world, run, { reply }) => {
    run.status = 404
    world.finish(run)
    reply.callNotFound()
    return await reply
  },
  redirect: async (world, run, { reply }) => {
    Object.assign(run, { status: 301, bytes: Buffer.alloc(0) })
    world.finish(run)
    return await reply.redirect('/elsewhere', 301)
  },
  hijack: (world, run, { reply, document }) => {
    run.bytes = Buffer.from(JSON.stringify(document))
    world.finish(run)
    reply.hijack()
    reply.raw.writeHead(200, {
      'x-echo': run.sent.id, 'x-run': run.id, 'content-type': TYPE, 'content-length': run.bytes.byteLength
    }).end(run.bytes)
  },
  private: async (world, run, made) => await send(world, run, { ...made, reply: made.reply.header('cache-control', 'private') }),
  cookie: async (world, run, made) => await send(world, run, { ...made, reply: made.reply.header('set-cookie', 'a=b') }),
  trailer: async (world, run, made) => await send(world, run, { ...made, reply: made.reply.trailer('x-sum', async () => 'sum') })
}

function fail (world: World, run: Run, statusCode: number): never {
  run.status = statusCode
  world.finish(run)
  throw Object.assign(new Error(`secret of ${run.id}`), { statusCode })
}

async function notModified (world: World, run: Run, reply: FastifyReply): Promise<unknown> {
  Object.assign(run, { status: 304, bytes: Buffer.alloc(0) })
  reply.code(304)
  world.finish(run)
  const { payload } = run.sent.asked
  if (payload === 'response' && run.sent.asked.method !== 'HEAD') return new Response(null, { status: 304 })
  return await reply.send(payload === 'nothing' ? undefined : payloadOf(world, run, { text: 'unseen' }))
}

async function send (
  world: World, run: Run, { reply, document, status = 200 }: Exchange & { readonly document: object, readonly status?: number }
): Promise<unknown> {
  const text = JSON.stringify(document)
  const { payload, method } = run.sent.asked
  const isWrapped = world.plan.hooks.includes('serializer') && (payload === 'text' || payload === 'json')
  Object.assign(run, {
    status, bytes: Buffer.from(payload === 'nothing' ? '' : isWrapped ? wrapped(payload === 'text' ? text : document) : text)
  })
  reply.code(status)
  if (payload === 'nothing') {
    world.finish(run)
    return await reply.send()
  }
  reply.header('content-type', TYPE)
  // The stream of a HEAD is read by nobody.
  if (!isStreamed(run.sent.asked) || method === 'HEAD') world.finish(run)
  const made = payload === 'json' ? document : payloadOf(world, run, { text })
  // Fastify has no HEAD for a Response.
  if (payload === 'response' && method !== 'HEAD') {
    return await reply.send(new Response(made as ReadableStream, { status, headers: { 'content-type': TYPE } }))
  }
  return await reply.send(made)
}

const isStreamed = ({ payload }: Asked): boolean => ['stream', 'web', 'response'].includes(payload)

function payloadOf (world: World, run: Run, { text }: { readonly text: string }): unknown {
  const { payload } = run.sent.asked
  if (payload === 'text' || payload === 'json') return text
  if (payload === 'buffer') return Buffer.from(text)
  const stream = Readable.from(pieces(world, run, Buffer.from(text)), { objectMode: false })
  world.streams.set(stream, run)
  // Who destroys it before its end has not seen the whole.
  stream.on('close', () => {
    if (run.finishedSeq !== Infinity) return
    run.isBroken = true
    world.finish(run)
  }).on('error', () => {})
  return payload === 'stream' ? stream : Readable.toWeb(stream)
}

async function * pieces (world: World, run: Run, bytes: Buffer): AsyncGenerator<Buffer> {
  const { mood, held, id } = run.sent.asked
  if (mood === 'breakEarly') throw new Error(`secret of ${run.id}`)
  const middle = bytes.byteLength >> 1
  yield bytes.subarray(0, middle)
  if (held === 'middle') await world.gates.get(run.sent.id)?.pass()
  if (mood === 'break') throw new Error(`secret of ${run.id}`)
  if (id > 1) {
    for (let at = middle; at < bytes.byteLength - 1; at += 16_384) yield bytes.subarray(at, Math.min(at + 16_384, bytes.byteLength - 1))
  }
  yield bytes.subarray(id > 1 ? bytes.byteLength - 1 : middle)
  world.finish(run)
}

/** The response for one identity and one version is always the same, and so is its entity tag. */
function documentOf (world: World, run: Run): object {
  const { identity, asked } = run.sent
  const kind = asked.payload === 'nothing'
    ? 'nothing'
    : asked.payload === 'text' || asked.payload === 'json' ? world.plan.hooks.includes('serializer') && asked.payload : ''
  run.etag = `"${createHash('sha256').update(`${identity} ${run.version} ${String(kind)}`).digest('hex').slice(0, 12)}"`
  return { identity, version: run.version, padding: 'abcdefghij'.repeat((PADDING[asked.id] as number) / 10) }
}
