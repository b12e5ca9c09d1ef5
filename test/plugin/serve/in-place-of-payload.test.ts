// What a client receives in place of a handler's payload: the stored response, a part of it, or nothing (RFC 9110 sections 13.2, 14,
// 15.4.5).
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { build, forEachBackend, type TestApp } from '../../support/app.js'
import { until } from '../../support/barrier.js'
import type { ClientResponse } from '../../support/client.js'
import { cached } from '../../support/document.js'
import { PAYLOADS, type Made, type PayloadName } from '../../support/payloads.js'

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

const CHANGED = 'Tue, 06 May 2031 06:00:00 GMT'
const STORED = { etag: '"1"', text: '0123456789' }
const NEW = { etag: '"2"', text: 'abcdefghij' }

interface Asked {
  readonly conditions: Record<string, string>
  readonly method: string
}

/** A request for which there is a stale stored response, the handler's response to it, and the response that is expected. */
interface Case extends Asked {
  readonly kind: PayloadName
  readonly status: number
  readonly expected: Expected
}

interface Expected {
  readonly status: number
  readonly text: string
  /** The header fields that concern the content or the conditions. A field that is not named here must be absent. */
  readonly fields: Record<string, string | undefined>
  /** The whole response, which may be sent in place of a part. */
  readonly orWhole?: Expected | undefined
}

/** What RFC 9110 makes of a whole 200. `cuts` says whether ranges are cut out of it; a server may ignore them. */
function selected ({ etag, text }: typeof STORED, { conditions, method, cuts }: Asked & { cuts: 'yes' | 'maybe' }): Expected {
  const own = { etag, 'last-modified': CHANGED, 'x-own': 'yes' }
  const whole: Expected = { status: 200, text, fields: { ...own, 'content-type': 'text/plain', 'content-length': String(text.length) } }
  const failed = { etag, 'x-own': 'yes', 'content-length': '0' }
  if (conditions['if-match'] !== undefined && conditions['if-match'] !== etag) return { status: 412, text: '', fields: failed }
  if (conditions['if-none-match'] === etag) return { status: 304, text: '', fields: own }
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(conditions.range ?? '') ?? []
  if (from === undefined || method === 'HEAD') return whole
  const part = text.slice(Number(from), Number(to) + 1)
  const range = (span: string): Record<string, string> => ({ 'content-range': `bytes ${span}/${text.length}` })
  const cut: Expected = Number(from) >= text.length
    ? { status: 416, text: '', fields: { ...failed, ...range('*') } }
    : { status: 206, text: part, fields: { ...whole.fields, ...range(`${from}-${to}`), 'content-length': String(part.length) } }
  return cuts === 'yes' ? cut : { ...cut, orWhole: whole }
}

const CONDITIONS: ReadonlyArray<Record<string, string>> = [
  {}, { 'if-none-match': STORED.etag }, { 'if-none-match': NEW.etag }, { 'if-match': '"other"' },
  { range: 'bytes=2-4' }, { range: 'bytes=2-4', 'if-range': CHANGED }, { range: 'bytes=900-' }
]

const isStream = (kind: PayloadName): boolean => !['nothing', 'a text', 'a Buffer'].includes(kind)

function cases (): Case[] {
  const kinds = Object.keys(PAYLOADS) as PayloadName[]
  const requests = CONDITIONS.flatMap((conditions) => ['GET', 'HEAD'].map((method) => ({ conditions, method })))
  return kinds.flatMap((kind) => requests.flatMap((asked) => [304, 200, 404, 503].map((status) => {
    const made = { ...NEW, text: kind === 'nothing' ? '' : NEW.text }
    const cuts = isStream(kind) && status === 200 ? 'maybe' : 'yes'
    const { fields } = selected(made, { conditions: {}, method: 'GET', cuts })
    const expected = status === 404 ? { status, text: made.text, fields } : selected(status === 200 ? made : STORED, { ...asked, cuts })
    return { kind, status, ...asked, expected }
  })))
}

/** The fields that are compared: those of the content, and those of the stored response. */
const LOOKED_AT = ['etag', 'last-modified', 'x-own', 'content-type', 'content-range', 'content-encoding', 'content-length']

function differences ({ status, headers, text, whole }: ClientResponse, expected: Expected, { method, kind }: Case): string[] {
  const found = LOOKED_AT.filter((name) => {
    // A Content-Length is optional for a stream that is passed on, and for a HEAD.
    const mayBeUnsaid = name === 'content-length' && (method === 'HEAD' || (isStream(kind) && expected.text === NEW.text))
    return headers[name] !== expected.fields[name] && !(mayBeUnsaid && headers[name] === undefined)
  }).map((name) => `${name}: ${String(headers[name])} in place of ${expected.fields[name]}`)
  if (status !== expected.status) found.push(`status ${status} in place of ${expected.status}`)
  if (text !== (method === 'HEAD' ? '' : expected.text)) found.push(`content ${text} in place of ${expected.text}`)
  return whole ? found : [...found, 'it broke off']
}

/** Hooks as other plugins have them. None of them changes anything. */
function hooks (app: FastifyInstance, seen: unknown[]): void {
  app.addHook('onSend', async (_request, _reply, payload) => { seen.push(payload) })
  app.addHook('onSend', async (_request, _reply, payload) => payload)
  app.addHook('onSend', (_request, _reply, payload, done) => { done(null, payload) })
  app.addHook('onSend', (_request, _reply, _payload, done) => { done() })
}

async function run (t: Test, on: object, { isHooked, via }: { isHooked: boolean, via: 'socket' | 'h2' }): Promise<void> {
  const all = cases()
  const made = new Map<string, Made>()
  const seen: unknown[] = []
  const app: TestApp = await build(t, {
    ...on,
    compare: false,
    fastify: { http2: via === 'h2' },
    routes (app, probe) {
      if (isHooked) hooks(app, seen)
      app.get<{ Params: { at: string } }>('/:at', cached({ staleIfError: '1h' }), async (request, reply) => {
        const { at } = request.params
        const fields = { 'last-modified': CHANGED, 'x-own': 'yes', 'content-type': 'text/plain' }
        if (probe.ran(at) === 1) return await reply.headers({ ...fields, etag: STORED.etag }).send(STORED.text)
        const { kind, status } = all[Number(at)] as Case
        const { payload, isOver } = PAYLOADS[kind](kind === 'nothing' ? '' : NEW.text, status)
        made.set(at, { payload, isOver })
        reply.code(status).headers({ ...fields, etag: status === 304 ? STORED.etag : NEW.etag })
        if (status === 304) reply.removeHeader('content-type')
        return await reply.send(payload)
      })
    }
  })
  for (const at of all.keys()) await app.ask({ url: `/${at}`, via })
  await app.clock.pass(61_000)
  const wrong: string[] = []
  for (const [at, one] of all.entries()) {
    const { kind, status, conditions, method, expected } = one
    const response = await app.ask({ url: `/${at}`, method, headers: conditions, via })
    const isWhole = expected.orWhole !== undefined && response.status === 200
    const found = differences(response, isWhole ? expected.orWhole as Expected : expected, one)
    wrong.push(...found.map((line) => `${method} ${JSON.stringify(conditions)}, ${status} with ${kind}: ${line}`))
    await until(() => (made.get(String(at)) as Made).isOver())
  }
  t.same(wrong, [])
  t.equal(made.size, all.length, 'every handler ran twice')
  t.same(seen.filter((payload) => payload === null || typeof payload === 'symbol'), [], 'hooks receive no internal payload')
}

for (const via of ['socket', 'h2'] as const) {
  for (const isHooked of [false, true]) {
    const where = `by HTTP/${via === 'h2' ? '2' : '1.1'}, ${isHooked ? 'with' : 'without'} other hooks`
    t.test(`${where}: whatever the handler sends, the client receives what its conditions select, and no stream stays open`, async (t) => {
      await forEachBackend(t, async (t, on) => await run(t, on, { isHooked, via }))
    })

    t.test(`${where}: a stored response without content is served unchanged in place of an error`, async (t) =>
      forEachBackend(t, async (t, on) => {
        const errors: Record<string, Handler> = {
          thrown: async () => { throw new Error('secret') },
          sent: async (_request, reply) => await reply.code(503).send({ message: 'secret' }),
          streamed: async (_request, reply) => await reply.code(502).send(Readable.from(['secret']))
        }
        const stored: Record<string, readonly [handler: Handler, status: number]> = {
          nothing: [async (_request, reply) => await reply.send(), 200],
          redirect: [async (_request, reply) => await reply.redirect('/x', 301), 301],
          typed: [async (_request, reply) => await reply.type('text/plain').send(''), 200],
          stream: [async (_request, reply) => await reply.send(Readable.from([])), 200]
        }
        const app = await build(t, {
          ...on,
          compare: false,
          fastify: { http2: via === 'h2' },
          routes (app, probe) {
            if (isHooked) hooks(app, [])
            for (const error of Object.keys(errors)) {
              for (const name of Object.keys(stored)) {
                const url = `/${error}/${name}`
                app.get(url, cached({ staleIfError: '1h', statuses: [200, 301] }), async (request, reply) => {
                  const handler = probe.ran(url) === 1 ? stored[name]![0] : errors[error] as Handler
                  return await handler(request, reply)
                })
              }
            }
          }
        })
        const each = Object.entries(stored).flatMap(([name, [, status]]) => {
          return Object.keys(errors).map((error) => [`/${error}/${name}`, status] as const)
        })
        const first = new Map<string, ClientResponse>()
        for (const [url] of each) first.set(url, await app.ask({ url, via }))
        await app.clock.pass(61_000)
        for (const [url, status] of each) {
          const { headers } = first.get(url) as ClientResponse
          const response = await app.ask({ url, via })
          t.match(response, { status, text: '', whole: true, cacheStatus: /fwd=stale; fwd-status=50[023]; detail=/ }, url)
          for (const name of ['location', 'content-type']) t.equal(response.headers[name], headers[name], `${url} ${name}`)
          t.equal(response.headers['content-length'] ?? '0', '0', url)
        }
      }))

    t.test(`${where}: conditions are evaluated on a stored response without a type`, async (t) => forEachBackend(t, async (t, on) => {
      const app = await build(t, {
        ...on,
        compare: false,
        fastify: { http2: via === 'h2' },
        routes (app, probe) {
          if (isHooked) hooks(app, [])
          app.get<{ Params: { at: string } }>('/:at', cached({ staleIfError: '1h' }), async (request, reply) => {
            if (probe.ran(request.params.at) === 1) return await reply.header('etag', '"1"').send(Readable.from(['untyped']))
            return await reply.header('etag', '"1"').code(304).send(Readable.from(['']))
          })
        }
      })
      const rows = [[{}, 200], [{ 'if-none-match': '"1"' }, 304], [{ 'if-match': '"other"' }, 412]] as const
      for (const at of rows.keys()) await app.ask({ url: `/${at}`, via })
      await app.clock.pass(61_000)
      for (const [at, [headers, status]] of rows.entries()) {
        const response = await app.ask({ url: `/${at}`, headers, via })
        const text = status === 200 ? 'untyped' : ''
        t.match(response, { status, text, whole: true, headers: { 'content-type': undefined } }, String(status))
      }
    }))

    t.test(`${where}: RFC 9110 section 8.6: a 304 to a HEAD has no Content-Length`, async (t) => forEachBackend(t, async (t, on) => {
      const app = await build(t, {
        ...on,
        compare: false,
        fastify: { http2: via === 'h2' },
        routes (app) {
          if (isHooked) hooks(app, [])
          app.get('/', cached(), async (_request, reply) => await reply.header('etag', '"1"').send('x'))
        }
      })
      await app.ask({ url: '/', via })
      for (const method of ['GET', 'HEAD']) {
        const { status, hit, headers } = await app.ask({ url: '/', method, headers: { 'if-none-match': '"1"' }, via })
        t.same([status, hit, headers['content-length']], [304, true, undefined], method)
        t.match(await app.ask({ url: '/', method, via }), { status: 200, hit: true, headers: { 'content-length': '1' } }, method)
      }
    }))
  }
}
