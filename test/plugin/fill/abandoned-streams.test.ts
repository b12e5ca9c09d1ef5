// Handlers' streams that don't end as they should: they don't end the process, and no request waits for them.
import { EventEmitter } from 'node:events'
import { Readable } from 'node:stream'
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'
import { until } from '../../support/barrier.js'
import { cached } from '../../support/document.js'

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

const kinds: Record<string, () => { payload: object, isEnded: () => boolean }> = {
  'Node stream' () {
    const payload = new Readable({ read () {} })
    return { payload, isEnded: () => payload.destroyed }
  },
  "stream that isn't Node's own" () {
    const payload = Object.assign(new EventEmitter(), { isEnded: false, pipe () {}, destroy () { payload.isEnded = true } })
    return { payload, isEnded: () => payload.isEnded }
  },
  'stream that can only be closed' () {
    const payload = Object.assign(new EventEmitter(), { isEnded: false, pipe () {}, close () { payload.isEnded = true } })
    return { payload, isEnded: () => payload.isEnded }
  },
  'stream that can only be aborted' () {
    const payload = Object.assign(new EventEmitter(), { isEnded: false, pipe () {}, abort () { payload.isEnded = true } })
    return { payload, isEnded: () => payload.isEnded }
  },
  'web stream' () {
    let isEnded = false
    return { payload: new ReadableStream({ cancel () { isEnded = true } }), isEnded: () => isEnded }
  }
}

for (const [name, make] of Object.entries(kinds)) {
  t.test(`the ${name} of an error is destroyed when a stored response is served in its place, and may fail later`, async (t) => {
    const { payload, isEnded } = make()
    const app = await build(t, {
      compare: false,
      routes (app, probe) {
        app.get('/', cached({ ttl: 1, staleIfError: '1h' }), async (_request, reply) =>
          probe.ran() === 1 ? 'x' : await reply.code(503).send(payload))
      }
    })
    await app.ask('/')
    await app.clock.pass(2_000)
    t.match(await app.ask('/'), { status: 200, text: 'x' })
    t.ok(isEnded())
    if (payload instanceof EventEmitter) payload.emit('error', new Error('broken off'))
  })
}

t.test('a stream that is not sent, because of the conditions of its client, replaces the stored response', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.get<{ Params: { etag: string } }>('/:etag', cached(), async ({ params }, reply) => {
          const run = probe.ran(params.etag)
          return await reply.header('etag', run === 1 ? '"1"' : `"${params.etag}"`).send(Readable.from([`x${run}`]))
        })
      }
    })
    const headers = { 'cache-control': 'no-cache', 'if-match': '"other"' }
    for (const url of ['/1', '/2']) {
      await app.ask(url)
      t.match(await app.ask({ url, headers }), { status: 412, text: '', cacheStatus: /fwd=request$/ })
    }
    await until(async () => (await app.cache.stats()).stores === 4)
    for (const url of ['/1', '/2']) t.match(await app.ask(url), { status: 200, text: 'x2', hit: true })
  }))

t.test('the source of a stream that another hook replaced may fail later', async (t) => {
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
  t.match(await app.ask('/'), { status: 200, text: 'swapped' }, 'also when the source has failed before')
})
