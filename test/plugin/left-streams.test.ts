// Streams of handlers that end otherwise than they should: no process ends with them, no request waits for them, nobody else is given anything.
import { Readable } from 'node:stream'
import t from 'tap'
import { build } from '../support/app.js'
import { cached } from '../support/document.js'

t.test('E01: an answer to Authorization that a schema or a handler took out of the headers is not stored', async (t) => {
  const app = await build(t, {
    compare: false,
    routes (app) {
      const config = cached({ credentials: 'ignore' })
      app.decorateRequest('user', '')
      app.addHook('onRequest', async (request) => { Object.assign(request, { user: request.headers.authorization ?? 'nobody' }) })
      const user = async (request: object) => (request as { user: string }).user
      app.get('/schema', { ...config, schema: { headers: { type: 'object', additionalProperties: false, properties: { accept: { type: 'string' } } } } }, user)
      app.get('/deleted', config, async (request) => {
        delete request.headers.authorization
        return await user(request)
      })
    }
  })
  for (const url of ['/schema', '/deleted']) {
    for (const authorization of ['Bearer a', 'Bearer b']) t.match(await app.ask({ url, headers: { authorization } }), { text: authorization, hit: false, cacheStatus: /authorization/ }, url)
  }
})

t.test('a stream that was destroyed before it is returned is an error at once, as without the cache', async (t) => {
  const app = await build(t, {
    compare: false,
    routes (app) {
      app.get('/', cached(), async () => {
        const source = Readable.from(['x'])
        source.on('error', () => {})
        source.destroy(new Error('gone'))
        await new Promise(setImmediate)
        return source
      })
    }
  })
  for (let times = 0; times < 2; times++) t.match(await app.ask('/'), { status: 500, hit: false })
})

t.test('the stream of an error that a stored answer stands in for is let go, and may break off later', async (t) => {
  let source = new Readable({ read () {} })
  const app = await build(t, {
    compare: false,
    routes (app, probe) {
      app.get('/', cached({ ttl: 1, staleIfError: '1h' }), async (_request, reply) => probe.ran() === 1 ? 'x' : await reply.code(503).send(source = new Readable({ read () {} })))
    }
  })
  await app.ask('/')
  await app.clock.pass(2_000)
  t.match(await app.ask('/'), { status: 200, text: 'x' })
  t.ok(source.destroyed)
  source.emit('error', new Error('broken off'))
})

t.test('the source of a stream that another hook took the place of may fail later', async (t) => {
  const source = new Readable({ read () {} })
  source.on('error', () => {})
  const app = await build(t, {
    compare: false,
    routes (app) {
      app.addHook('onSend', async () => 'swapped')
      app.get('/', cached(), async (_request, reply) => await reply.send(source))
    }
  })
  t.match(await app.ask('/'), { text: 'swapped' })
  source.destroy(new Error('failed'))
  await new Promise(setImmediate)
  t.match(await app.ask('/').catch(() => 'ended'), {})
})
