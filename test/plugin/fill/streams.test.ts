// Streams are sent on at once while they are recorded, and are stored only if they end well.
import { once } from 'node:events'
import { request } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { setTimeout as after } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'
import t from 'tap'
import { build, forEachBackend, type TestApp } from '../../support/app.js'
import { Barrier, turns, until } from '../../support/barrier.js'
import { portOf } from '../../support/client.js'

const CACHED = { config: { cache: { ttl: '1m' } } } as const
const PIECE = Buffer.alloc(8 * 1024, 'x')

const routeStats = async (app: TestApp, url = '/'): Promise<object | undefined> => (await app.cache.stats()).routes[`GET ${url}`]

function web (pull: (at: number) => Promise<Uint8Array | undefined>): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream({
    async pull (controller) {
      const chunk = await pull(at++)
      if (chunk === undefined) controller.close()
      else controller.enqueue(chunk)
    }
  }, { highWaterMark: 0 })
}

const MADE = {
  Node: (pull: (at: number) => Promise<Uint8Array | undefined>) => {
    let at = 0
    return new Readable({
      read () { pull(at++).then((chunk) => { this.push(chunk ?? null) }, (err) => { this.destroy(err) }) }
    })
  },
  web
}

for (const [kind, make] of Object.entries(MADE)) {
  t.test(`the first byte of a ${kind} stream is sent before the last one is made`, async (t) => forEachBackend(t, async (t, on) => {
    const first = new Barrier()
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.get('/', CACHED, async (_request, reply) => await reply.type('text/plain').send(make(async (at) => {
          if (at === 1) await first.pass()
          return at < 2 ? Buffer.from(String(at)) : undefined
        })))
      }
    })
    const seen = new Barrier()
    const response = app.ask({ url: '/', onProgress: (bytes) => { if (bytes > 0) seen.pass() } })
    await first.reached()
    await seen.reached()
    first.open()
    t.match(await response, { text: '01', hit: false })
    t.match(await app.ask('/'), { text: '01', hit: true })
  }))

  t.test(`a ${kind} stream that fails is not stored, and fails as it would without the cache`, async (t) =>
    forEachBackend(t, async (t, on) => {
      const fails = { 'before anything': 0, 'half-way': 2, 'after the last piece': 4 }
      const app = await build(t, {
        ...on,
        routes (app) {
          for (const [when, failsAt] of Object.entries(fails)) {
            app.get(`/${when.replaceAll(' ', '-')}`, CACHED, async (_request, reply) =>
              await reply.type('text/plain').send(make(async (at) => {
                await turns(2)
                if (at === failsAt) throw new Error('the source failed')
                return PIECE
              })))
          }
        }
      })
      for (const when of Object.keys(fails)) {
        const url = `/${when.replaceAll(' ', '-')}`
        for (let times = 0; times < 2; times++) {
          t.match(await app.ask({ url, compare: { body: when === 'before anything' } }), { hit: false, whole: when === 'before anything' })
        }
        t.match(await routeStats(app, url), { stores: 0, misses: 2 }, when)
      }
      t.equal((await app.cache.stats()).entries, 0)
    }))

  t.test(`a ${kind} stream that its client has left is ended at maxBodyBytes`, async (t) => forEachBackend(t, async (t, on) => {
    let taken = 0
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.get('/', { config: { cache: { ttl: '1m', maxBodyBytes: PIECE.byteLength * 10 } } }, async (_request, reply) => {
          const first = probe.ran() === 1
          return await reply.type('text/plain').send(make(async (at) => {
            if (first) taken = at
            await after(1)
            return at < (first ? 1e6 : 4) ? PIECE : undefined
          }))
        })
      }
    })
    t.match(await app.ask({ url: '/', leaveAfterBytes: PIECE.byteLength * 2 }), { whole: false })
    await until(async () => (await app.cache.stats()).refusals['too-large'] === 1)
    t.match(await routeStats(app), { stores: 0 })
    const takenThen = taken
    await turns()
    await after(10)
    t.ok(taken <= takenThen + 1 && taken < 20, 'nobody reads it, so it is destroyed')
    t.match(await app.ask('/'), { hit: false, whole: true })
    t.match(await app.ask('/'), { hit: true, whole: true })
  }))

  t.test(`a ${kind} stream that grows beyond maxBodyBytes is delivered whole and not stored`, async (t) =>
    forEachBackend(t, async (t, on) => {
      const app = await build(t, {
        ...on,
        routes (app) {
          for (const [url, pieces] of [['/fits', 4], ['/grows', 5]] as const) {
            app.get(url, { config: { cache: { ttl: '1m', maxBodyBytes: PIECE.byteLength * 4 } } }, async (_request, reply) =>
              await reply.type('text/plain').send(make(async (at) => at < pieces ? PIECE : undefined)))
          }
          app.get('/announced', { config: { cache: { ttl: '1m', maxBodyBytes: 10 } } }, async (_request, reply) =>
            await reply.type('text/plain').header('content-length', 11).send(make(async (at) =>
              at === 0 ? Buffer.from('eleven byte') : undefined)))
        }
      })
      for (const [url, hit] of [['/fits', true], ['/grows', false], ['/announced', false]] as const) {
        t.match(await app.ask(url), { whole: true, hit: false })
        t.match(await app.ask(url), { whole: true, hit }, url)
        if (!hit) t.match(await routeStats(app, url), { stores: 0, refusals: { 'too-large': 2 } }, url)
      }
    }))

  t.test(`a ${kind} stream whose length differs from its Content-Length is not stored`, async (t) => forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        for (const length of [9, 11, 'ten']) {
          app.get(`/${length}`, CACHED, async (_request, reply) => await reply.type('text/plain')
            .header('content-length', length as number)
            .send(make(async (at) => at === 0 ? Buffer.from('ten bytes!') : undefined)))
        }
      }
    })
    for (const length of [9, 11, 'ten']) {
      for (let times = 0; times < 2; times++) await app.ask(`/${length}`).catch(() => {})
      t.match(await routeStats(app, `/${length}`), { stores: 0, hits: 0, misses: 2 }, String(length))
    }
  }))
}

t.test('a body whose length differs from its Content-Length is sent as it would be without the cache', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app) {
        for (const length of [9, 11]) {
          app.get(`/${length}`, CACHED, async (_request, reply) => await reply.header('content-length', length).send('ten bytes!'))
        }
      }
    })
    for (const url of ['/9', '/11']) {
      for (const hit of [false, true]) {
        t.match(await app.ask(url), { text: 'ten bytes!', hit, whole: true, headers: { 'content-length': '10' } }, 'Fastify corrects it')
      }
    }
  }))

t.test('at most maxBodyBytes of 50 MB for a slow reader are kept, and no other request waits', async (t) =>
  forEachBackend(t, async (t, on) => {
    const pieces = 50 * 128
    const app = await build(t, {
      ...on,
      compare: false,
      heapBytes: 1024 * 1024,
      routes (app, probe) {
        app.get('/', CACHED, async (_request, reply) => {
          const mine = probe.ran()
          return await reply.type('text/plain').send(MADE.Node(async (at) => {
            probe.ran(`piece of ${mine}`)
            return at < pieces ? Buffer.alloc(8 * 1024, 'x') : undefined
          }))
        })
      }
    })
    const slow = request({ port: await portOf(app.app), host: '127.0.0.1', agent: false }).end()
    const [response] = await once(slow, 'response') as [Readable]
    response.pause()
    await after(50)
    t.ok(app.runs('piece of 1') < pieces, 'the source waits for the reader')
    const fast = await fetch(`http://127.0.0.1:${await portOf(app.app)}/`)
    let bytes = 0
    for await (const chunk of fast.body!) bytes += (chunk as Uint8Array).byteLength
    t.equal(bytes, pieces * 8 * 1024, 'another reader receives all of it meanwhile')
    t.ok(app.runs('piece of 1') < pieces)
    slow.destroy()
    await once(response, 'close').catch(() => {})
    t.match(await routeStats(app), { stores: 0, refusals: { 'too-large': 2 } })
  }))

t.test('a stream that another hook replaces ends its fill', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      app.get('/', { ...CACHED, onSend: async () => 'instead' }, async (_request, reply) =>
        await reply.type('text/plain').send(new PassThrough().on('error', () => {})))
    }
  })
  for (let times = 0; times < 3; times++) t.match(await app.ask('/'), { text: 'instead', hit: false })
  await turns()
  t.match(await routeStats(app), { stores: 0, misses: 3, refusals: { 'stream-failed': 3 } })
}))

t.test('a stream behind slow asynchronous hooks is stored whole', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      app.addHook('onSend', async () => { await turns(10) })
      app.get('/small', CACHED, async (_request, reply) => await reply.type('text/plain').send(Readable.from(['small'])))
      app.get('/large', CACHED, async (_request, reply) =>
        await reply.type('text/plain').send(Readable.from([PIECE, PIECE, PIECE, PIECE, PIECE])))
    }
  })
  for (const url of ['/small', '/large']) {
    for (const hit of [false, true, true]) t.match(await app.ask(url), { hit, whole: true }, url)
  }
}))

t.test('a stream that takes half of its lifetime to end is fresh for the other half', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, { cached, clock }) {
      app.get('/', CACHED, async (_request, reply) =>
        await reply.header('cache-control', 'max-age=60').type('text/plain').send(MADE.Node(async (at) => {
          if (at === 1 && cached) await clock.pass(30_000)
          return at < 2 ? PIECE : undefined
        })))
    }
  })
  t.match(await app.ask('/'), { hit: false, whole: true })
  t.match(await app.ask('/'), { hit: true, cacheStatus: /ttl=30/, headers: { age: '30' } })
}))

t.test('an event stream is not held back, and each of two clients has its own', async (t) => forEachBackend(t, async (t, on) => {
  const end = new Barrier()
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app) {
      app.get('/', CACHED, (_request, reply: FastifyReply) => {
        reply.type('text/event-stream').send(MADE.Node(async (at) => {
          if (at > 0) await end.pass()
          return at === 0 ? Buffer.from('data: now\n\n') : undefined
        }))
      })
    }
  })
  const seen = new Barrier()
  const onProgress = (bytes: number): void => { if (bytes > 0) seen.pass() }
  const both = [app.ask({ url: '/', onProgress }), app.ask({ url: '/', onProgress })]
  await seen.reached(2)
  end.open()
  for (const response of both) t.match(await response, { text: 'data: now\n\n', hit: false })
}))
