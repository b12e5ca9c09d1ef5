// Code that reads a reply after it was sent, such as an access log or metrics, finds on a hit the header fields that were sent.
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import t from 'tap'
import responseCache, { type ResponseCacheOptions } from '../../../plugin.js'
import { build } from '../../support/app.js'
import { until } from '../../support/barrier.js'
import { Chaos } from '../../support/chaos.js'
import { send, type ClientResponse, type Ask } from '../../support/client.js'
import { forEachWay } from '../../support/ways.js'

/** Fields that Node adds by itself; `:status` is HTTP/2's. */
const OF_NODE = ['date', 'connection', 'keep-alive', 'transfer-encoding', ':status']

/** More than a socket takes at once. */
const LARGE = 16_000_000

interface Seen {
  readonly status: number,
  readonly fields: Record<string, unknown>,
  readonly tookMs: number,
  readonly type: unknown,
  readonly hasEtag: boolean
}

/** Records what onResponse hooks see of each response, in the order in which responses end. */
function watch (app: FastifyInstance, seen: Seen[]): void {
  app.addHook('onResponse', async (_request, reply) => {
    seen.push({
      status: reply.statusCode,
      fields: { ...reply.getHeaders() },
      tookMs: reply.elapsedTime,
      type: reply.getHeader('Content-Type'),
      hasEtag: reply.hasHeader('ETag')
    })
  })
}

const shown = (fields: Record<string, unknown>): object => Object.fromEntries(
  Object.entries(fields).filter(([name]) => !OF_NODE.includes(name)).map(([name, value]) => [name, [value].flat().join(', ')]).sort())

t.test('onResponse hooks find the fields, the status and the duration of a hit, as they were sent', async (t) =>
  forEachWay(t, async (t, { on, via, hook }) => {
    const seen: Seen[] = []
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        hook(app)
        app.addHook('onRequest', async ({ headers }, reply) => {
          if (headers['x-front'] === undefined) return
          reply.headers({ 'x-request-id': '7', vary: 'Origin', 'set-cookie': ['a=1', 'b=2'] })
          reply.raw.setHeader('x-raw', 'raw')
        })
        if (probe.cached) watch(app, seen)
        app.get('/', { config: { cache: { ttl: '1m', etag: true } } }, async (_request, reply) =>
          await reply.headers({ etag: '"a"', link: ['</a>', '</b>'], vary: 'Accept' }).send({ a: 'x'.repeat(50) }))
      }
    })
    const asks: Array<[status: number, ask: Ask]> = [
      [200, { url: '/' }],
      [200, { url: '/', headers: { 'x-front': 'yes' } }],
      [200, { url: '/', method: 'HEAD' }],
      [304, { url: '/', headers: { 'if-none-match': '"a"' } }],
      [304, { url: '/', headers: { 'if-none-match': '"a"', 'x-front': 'yes' } }],
      [412, { url: '/', headers: { 'if-match': '"b"' } }],
      [206, { url: '/', headers: { range: 'bytes=0-9' } }]
    ]
    await app.ask({ url: '/', via })
    await app.clock.pass(2_000)
    for (const [status, ask] of asks) {
      seen.length = 0
      const response: ClientResponse = await app.ask({ ...ask, via })
      t.match(response, { status, hit: true, headers: { age: '2' } })
      const label = `${status} ${JSON.stringify(ask)}`
      t.equal(seen.length, 1, label)
      const { fields, ...rest } = seen[0]!
      t.strictSame(shown(fields), shown(response.headers), label)
      t.match(rest, { status, hasEtag: true, type: response.headers['content-type'] }, label)
      t.ok(rest.tookMs > 0 && rest.tookMs < 10_000, `${label}: ${rest.tookMs}`)
    }
  }, ['memory', 'sqlite', 'later']))

t.test("the log line of a hit has the fields that the application's own serializer reads from the reply", async (t) =>
  forEachWay(t, async (t, { on: { fastify, ...on }, via, hook }) => {
    const lines: Array<Record<string, any>> = []
    const app = Fastify({
      ...fastify,
      logger: {
        level: 'info',
        stream: { write: (line: string) => { lines.push(JSON.parse(line)) } },
        serializers: {
          res: (reply: FastifyReply) => ({
            status: reply.statusCode,
            type: reply.getHeader?.('content-type'),
            length: reply.getHeader?.('content-length'),
            cache: reply.getHeader?.('cache-status'),
            names: Object.keys(reply.getHeaders?.() ?? {}).length
          })
        }
      }
    } as object) as unknown as FastifyInstance
    t.teardown(async () => await app.close())
    await app.register(responseCache, on as ResponseCacheOptions)
    hook(app)
    app.get('/', { config: { cache: { ttl: '1m' } } }, async () => ({ a: 1 }))
    await app.ready()
    for (const detail of [/fwd=miss; stored$/, /; hit; ttl=/, /; hit; ttl=/]) {
      lines.length = 0
      const response = await send(app, { url: '/', via })
      t.match(response.cacheStatus, detail)
      const { res, responseTime } = lines.find(({ msg }) => msg === 'request completed') ?? {}
      t.match(res, { status: 200, type: 'application/json; charset=utf-8', length: '7', cache: detail })
      t.ok(responseTime > 0)
    }
  }))

t.test('a field that a hook sets on a hit, or adds to a list of its fields, is in no other response', async (t) =>
  forEachWay(t, async (t, { on, via, isHooked }) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        const change = async (_request: unknown, reply: FastifyReply): Promise<void> => {
          (reply.getHeader('link') as unknown as string[]).push('</late>')
          reply.headers({ 'x-late': 'yes', 'set-cookie': 'late=1', etag: '"late"' })
        }
        app.addHook('onResponse', change)
        if (isHooked) {
          app.addHook('onSend', async (request, reply) => { if (request.headers['x-change'] !== undefined) await change(request, reply) })
        }
        app.get('/', { config: { cache: { ttl: '1m', setCookie: 'store' } } }, async (_request, reply) =>
          await reply.headers({ link: ['</a>', '</b>'], 'set-cookie': ['a=1', 'b=2'], etag: '"a"' }).send('x'))
      }
    })
    await app.ask({ url: '/', via })
    for (let times = 0; times < 3; times++) {
      await app.ask({ url: '/', via, headers: { 'x-change': 'yes' } })
      const { hit, headers } = await app.ask({ url: '/', via })
      t.ok(hit)
      const { link, etag, 'set-cookie': cookies, 'x-late': late } = headers
      t.strictSame({ link, etag, cookies, late }, { link: '</a>, </b>', etag: '"a"', cookies: ['a=1', 'b=2'], late: undefined })
    }
  }))

t.test('a response that a hook sends during a read of the backend is not altered, also in the log', async (t) => {
  const chaos = new Chaos()
  const seen: Seen[] = []
  let sendMeanwhile: (() => void) | undefined
  const app = await build(t, {
    ...chaos.over({ backend: 'memory' }),
    deadline: '10s',
    compare: false,
    routes (app, probe) {
      app.addHook('preHandler', async ({ headers }, reply) => {
        if (headers['x-timeout'] !== undefined) sendMeanwhile = () => { reply.code(503).type('text/x-late').send(Buffer.alloc(LARGE)) }
      })
      if (probe.cached) watch(app, seen)
      app.get('/', { config: { cache: { ttl: '1m' } } }, async () => 'stored')
    }
  })
  for (const hit of [false, true]) t.match(await app.ask('/'), { hit })
  chaos.get.hang()
  seen.length = 0
  const asked = send(app.app, { url: '/', headers: { 'x-timeout': 'yes' } })
  await chaos.get.hangs()
  sendMeanwhile?.()
  // The hit arrives before all of that has been sent.
  chaos.get.release()
  const { status, body, headers } = await asked
  t.strictSame({ status, length: body.byteLength, type: headers['content-type'] }, { status: 503, length: LARGE, type: 'text/x-late' })
  await until(() => seen.length > 0)
  t.match(seen, [{ status: 503, type: 'text/x-late', fields: { 'cache-status': undefined, age: undefined } }])
  chaos.get.heal()
  t.match(await app.ask('/'), { status: 200, hit: true, text: 'stored' })
})
