// Ranges of streams on a miss: a stream is held back until its part can be cut out, within the limits of what may be recorded.
import { request } from 'node:http'
import { Readable } from 'node:stream'
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'
import { Barrier } from '../../support/barrier.js'
import { portOf } from '../../support/client.js'
import { cached } from '../../support/document.js'

const LARGE = Buffer.alloc(300_000, 'x')

const large = (): Readable =>
  Readable.from((function * () { for (let at = 0; at < LARGE.length; at += 10_000) yield LARGE.subarray(at, at + 10_000) })())

t.test('a range is cut out of a stream that is stored; the whole is sent if it exceeds a limit or differs from its announced length',
  async (t) => forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.get('/node', cached({ maxBodyBytes: 200_000 }), async (_request, reply) => await reply.type('text/plain').send(large()))
        app.get('/web', cached({ maxBodyBytes: 200_000 }), async (_request, reply) =>
          await reply.type('text/plain').send(new Blob([LARGE]).stream()))
        app.get('/within', cached({ maxBodyBytes: LARGE.length }), async (_request, reply) => await reply.type('text/plain').send(large()))
        app.get('/shorter', cached(), async (_request, reply) => await reply.header('content-length', 400_000).send(large()))
      }
    })
    for (const url of ['/node', '/web']) {
      t.match(await app.ask({ url, headers: { range: 'bytes=0-1' } }), { status: 200, body: LARGE, whole: true, hit: false }, url)
    }
    t.match(await app.ask({ url: '/shorter', headers: { range: 'bytes=0-1' } }), { status: 200, body: LARGE, whole: false, hit: false },
      'as without a range')
    t.match(await app.ask({ url: '/within', headers: { range: 'bytes=0-1' } }), { status: 206, text: 'xx', cacheStatus: /stored/ })
    t.match((await app.cache.stats()), {
      entries: 1,
      routes: {
        'GET /node': { refusals: { 'too-large': 1 } },
        'GET /web': { refusals: { 'too-large': 1 } },
        'GET /shorter': { refusals: { length: 1 } }
      }
    })
  }))

t.test('a stream that breaks off before its part is cut out is an error of the handler, or the stored response in its place', async (t) =>
  forEachBackend(t, async (t, on) => {
    let breaks = true
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        const broken = (): Readable =>
          Readable.from((async function * () { yield 'abc'; if (breaks) throw new Error('the source failed'); yield 'def' })())
        app.get('/', cached({ ttl: '5s', staleIfError: '1m' }), async (_request, reply) => await reply.type('text/plain').send(broken()))
      }
    })
    const ask = { url: '/', headers: { range: 'bytes=1-2' } }
    t.match(await app.ask(ask), { status: 500, whole: true })
    breaks = false
    t.match(await app.ask(ask), { status: 206, text: 'bc', hit: false })
    breaks = true
    await app.clock.pass(6_000)
    t.match(await app.ask(ask), { status: 206, text: 'bc', headers: { 'content-range': 'bytes 1-2/6' } })
  }))

t.test('a client that leaves while its part is waited for ends the stream, and nothing is stored', async (t) =>
  forEachBackend(t, async (t, on) => {
    const [begun, ended] = [new Barrier(), new Barrier()]
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        const endless = (): Readable => new Readable({
          read () { if (begun.arrived === 0) { this.push('abc'); begun.pass().catch(() => {}) } },
          destroy (err, done) { ended.pass().catch(() => {}); done(err) }
        })
        app.get('/', cached(), async (_request, reply) =>
          await reply.type('text/plain').send(begun.arrived === 0 ? endless() : Readable.from(['abc'])))
      }
    })
    const leaving = request({ host: '127.0.0.1', port: await portOf(app.app), headers: { range: 'bytes=0-1' }, agent: false })
      .on('error', () => {}).end()
    await begun.reached()
    leaving.destroy()
    await ended.reached()
    t.match(await app.cache.stats(), { entries: 0, routes: { 'GET /': { refusals: { 'client-gone': 1 } } } })
    t.match(await app.ask({ url: '/', headers: { range: 'bytes=0-1' } }), { status: 206, text: 'ab', hit: false })
  }))

t.test('a client that leaves while the rest of a stream is passed on ends the stream', async (t) => forEachBackend(t, async (t, on) => {
  const ended = new Barrier()
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app) {
      let pieces = 0
      const endless = (): Readable => new Readable({
        read () { if (pieces++ < 4) this.push(Buffer.alloc(40_000)) },
        destroy (err, done) { ended.pass().catch(() => {}); done(err) }
      })
      app.get('/short', cached(), async (_request, reply) => await reply.type('text/plain').send(Readable.from(['abc'])))
      app.get('/endless', cached({ maxBodyBytes: 100_000 }), async (_request, reply) => await reply.type('text/plain').send(endless()))
    }
  })
  t.match(await app.ask({ url: '/endless', headers: { range: 'bytes=0-1' }, leaveAfterBytes: 160_000 }), { status: 200, whole: false })
  await ended.reached()
  t.match(await app.ask({ url: '/short', headers: { range: 'bytes=0-1' } }), { status: 206, text: 'ab', hit: false })
  t.match(await app.cache.stats(), { routes: { 'GET /endless': { refusals: { 'too-large': 1 } } } })
}))

t.test('memory for held-back streams is released however they end: ranges are still cut out of streams after many of them', async (t) =>
  forEachBackend(t, async (t, on) => {
    const MIB = Buffer.alloc(1024 * 1024)
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        const ways: Record<string, () => Readable> = {
          large: () => Readable.from([MIB, MIB, MIB]),
          broken: () => Readable.from(
            (async function * () { yield MIB; yield MIB; await new Promise(setImmediate); throw new Error('the source failed') })()),
          whole: () => Readable.from([MIB, MIB])
        }
        app.get<{ Params: { way: string } }>('/:way/:name', cached({ maxBodyBytes: 2 * MIB.length }), async ({ params: { way } }, reply) =>
          await reply.type('text/plain').send((ways[way] as () => Readable)()))
      }
    })
    const statuses = { large: 200, broken: 500, whole: 206 }
    // Together they hold several times as much as all recordings may.
    for (let times = 0; times < 45; times++) {
      for (const [way, status] of Object.entries(statuses)) {
        t.equal((await app.ask({ url: `/${way}/${times}`, headers: { range: 'bytes=0-1' } })).status, status, `${way} ${times}`)
      }
    }
  }))
