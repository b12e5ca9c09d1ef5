// Sending a stored response: the same directly and through hooks, and nothing of it can be changed for the next request.
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { Entry, ResponseHead } from '../../response/store/entry.js'
import { FastifyInternals } from '../../response/fastify/fastify-internals.js'
import { Sender } from '../../response/serve/send.js'

const AT = 1_900_000_000_000

function entryOf (change: Partial<ResponseHead> = {}, body = 'stored'): Entry<ResponseHead> {
  const head: ResponseHead = {
    kind: 'response',
    key: 'k',
    status: 200,
    fields: ['content-type', 'text/plain', 'link', '<a>', 'link', '<b>', 'vary', 'Accept'],
    storedAt: AT,
    freshUntil: AT + 60_000,
    ageMs: 3_500,
    text: true,
    ...change
  }
  return { head, body: Buffer.from(body) }
}

/** An application that sends the entry, directly and through hooks. */
async function both (
  t: Test,
  entry: Entry<ResponseHead>,
  { marked = true, at = AT + 2_000, hook }: { marked?: boolean, at?: number, hook?: (app: FastifyInstance) => void } = {}
): Promise<FastifyInstance[]> {
  return [false, true].map((throughHooks) => {
    const app = Fastify()
    const sender = new Sender(new FastifyInternals(), marked ? 'cache-status' : undefined)
    hook?.(app)
    if (throughHooks) app.addHook('onSend', async (_request, _reply, payload) => payload)
    app.get('/', (request, reply) => { sender.send(request, reply, entry, { status: 'name; hit', at }) })
    t.teardown(async () => await app.close())
    return app
  })
}

const plain = ({ date: _date, connection: _connection, ...headers }: Record<string, unknown>): object => headers

t.test('both ways send the same response, with its Age; ranges are announced if no hook may change the body',
  async (t) => {
    for (const [at, app] of (await both(t, entryOf())).entries()) {
      const response = await app.inject('/')
      t.equal(response.body, 'stored')
      t.strictSame(plain(response.headers), {
        'content-type': 'text/plain',
        link: ['<a>', '<b>'],
        vary: 'Accept',
        'content-length': '6',
        age: '5',
        'cache-status': 'name; hit',
        ...(at === 0 && { 'accept-ranges': 'bytes' })
      })
    }
  })

t.test('when the clock has gone back, the age is the one that the response arrived with', async (t) => {
  for (const app of await both(t, entryOf(), { at: AT - 86_400_000 })) t.equal((await app.inject('/')).headers['age'], '3')
})

t.test('HEAD gets the fields and no body', async (t) => {
  for (const app of await both(t, entryOf())) {
    const response = await app.inject({ method: 'HEAD', url: '/' })
    t.equal(response.body, '')
    t.equal(response.headers['content-length'], '6')
  }
})

t.test("fields of this request's hooks are sent beside the stored ones, which take precedence; Vary has both", async (t) => {
  const hook = (app: FastifyInstance): void => {
    app.addHook('onRequest', async (_request, reply) => {
      reply.headers({ 'x-request-id': '7', vary: 'Origin, accept', link: '<hook>', 'x-gone': 'x', 'set-cookie': ['a=b', 'c=d'] })
      reply.raw.setHeader('x-raw', 'raw')
      reply.raw.setHeader('x-raw-gone', 'raw')
    })
  }
  for (const app of await both(t, entryOf({ removed: ['x-gone', 'x-raw-gone'] }), { hook })) {
    const { headers } = await app.inject('/')
    t.match(headers, { 'x-request-id': '7', 'x-raw': 'raw', link: ['<a>', '<b>'], 'set-cookie': ['a=b', 'c=d'] })
    t.strictSame(String(headers['vary']).toLowerCase().split(', ').sort(), ['accept', 'origin'])
    t.notOk('x-gone' in headers || 'x-raw-gone' in headers)
  }
})

t.test('without a name, no Cache-Status is sent', async (t) => {
  for (const app of await both(t, entryOf(), { marked: false })) t.notOk('cache-status' in (await app.inject('/')).headers)
})

t.test('Fastify responds if a field of a hook cannot be sent, either way', async (t) => {
  for (const value of ['✓', 'a\r\nb: c', 'a\0']) {
    const hook = (app: FastifyInstance): void => { app.addHook('onRequest', async (_request, reply) => { reply.header('x-bad', value) }) }
    for (const app of await both(t, entryOf(), { hook })) t.equal((await app.inject('/')).statusCode, 500, JSON.stringify(value))
  }
})

t.test('a hook that changes the bytes that it receives does not change the stored ones', async (t) => {
  const entry = entryOf({ text: false })
  const hook = (app: FastifyInstance): void => {
    app.addHook('onSend', async (_request, _reply, payload) => {
      if (Buffer.isBuffer(payload)) payload.fill('x')
      return payload
    })
  }
  for (const app of await both(t, entry, { hook })) t.equal((await app.inject('/')).body, 'xxxxxx')
  t.equal(entry.body.toString(), 'stored')
})

t.test('a response without a type is sent without one', async (t) => {
  for (const body of ['stored', '']) {
    for (const app of await both(t, entryOf({ fields: ['x-a', 'b'] }, body))) {
      const response = await app.inject('/')
      t.equal(response.body, body)
      t.notOk('content-type' in response.headers)
      t.equal(response.headers['x-a'], 'b')
    }
  }
})

t.test('RFC 9110 section 8.6: a 204 has no field that describes content, whatever type its handler set', async (t) => {
  for (const app of await both(t, entryOf({ status: 204, fields: ['content-type', 'text/plain', 'x-a', 'b'] }, ''))) {
    const { headers } = await app.inject('/')
    t.match(headers, { 'x-a': 'b', 'content-type': undefined, 'content-length': undefined })
  }
})

t.test('setCacheStatus() adds its member after those of an upstream (RFC 9211 section 2)', async (t) => {
  const app = Fastify()
  const sender = new Sender(new FastifyInternals(), 'cache-status')
  app.get('/', async (_request, reply) => {
    reply.header('cache-status', 'upstream; hit')
    sender.setCacheStatus(reply, 'name; fwd=miss')
    return 'x'
  })
  t.equal((await app.inject('/')).headers['cache-status'], 'upstream; hit, name; fwd=miss')
  await app.close()
})
