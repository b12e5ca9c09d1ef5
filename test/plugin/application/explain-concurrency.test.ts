// explain() says what a request that is a miss would do about concurrent requests.
import { Readable } from 'node:stream'
import t from 'tap'
import { Barrier, turns, until } from '../../support/barrier.js'
import { collapsing, everywhere } from '../../support/collapsing.js'
import { cached } from '../../support/document.js'

t.test('explain: a request leads, waits, receives a stream, or is alone', async (t) => {
  await everywhere(t, async (t, where) => {
    const barrier = new Barrier()
    const source = new Readable({ read () {} })
    const app = await collapsing(t, where, {
      routes (app) {
        app.get('/', cached({ maxBodyBytes: 10 }), async ({ headers }, reply) => {
          await barrier.pass()
          reply.header('vary', 'accept-language')
          if (headers['accept-language'] === 'fr') return await reply.header('cache-control', 'private').send('fr')
          return await reply.type('text/plain').send(source)
        })
        app.get('/unlocked', cached({ lock: false }), async () => 'x')
      }
    })
    const host = 'test.example'
    const concurrency = async (url = '/', headers = {}): Promise<unknown> => {
      const explained = await app.cache.explain({ url, headers: { host, ...headers } })
      t.match(explained.toString(), /concurrent requests/)
      return explained.concurrency
    }
    t.equal(await concurrency(), 'leads')
    t.equal(await concurrency('/', { 'if-none-match': '"1"' }), 'leads')
    t.equal(await concurrency('/', { 'if-match': '"1"' }), 'alone')
    t.equal(await concurrency('/unlocked'), 'alone')
    const leader = app.ask()
    await barrier.reached()
    t.equal(await concurrency(), 'waits')
    barrier.open()
    await turns()
    source.push('a')
    await until(async () => await concurrency() === 'receives-stream')
    t.equal(await concurrency('/', { 'accept-language': 'fr' }), 'leads', 'another variant')
    await app.ask({ headers: { 'accept-language': 'fr' } })
    t.equal(await concurrency('/', { 'accept-language': 'fr' }), 'alone', 'it can not be shared')
    source.push('bcdefghijklm')
    await turns()
    t.equal(await concurrency('/', { range: 'bytes=0-1' }), 'alone', 'it is too large')
    source.push(null)
    await leader
  })
})
