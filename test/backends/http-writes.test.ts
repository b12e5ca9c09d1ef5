// Writes and deletes of the HTTP backend over a real connection: retries, and reads of pending changes.
import t from 'tap'
import { Barrier, until } from '../support/barrier.js'
import { textAt } from '../support/entries.js'
import { entry, failureOf, good, stub } from '../support/http.js'

t.test('http: a write that meets 503, 429 or a broken connection is retried until it succeeds',
  async (t) => {
    const service = await stub(t, (response, _seen, number) => {
      if (number === 0) response.writeHead(503, { 'retry-after': '0' }).end()
      else if (number === 1) response.socket!.destroy()
      else if (number === 2) response.writeHead(429).end()
      else response.writeHead(204).end()
    })
    const backend = await service.open({ maxRetries: 3 })
    await backend.set('a', entry('value'))
    t.equal(service.seen.length, 4)
    t.same(new Set(service.seen.map(({ url, body }) => `${url} ${body.toString('hex')}`)).size, 1, 'the same request each time')
    t.same(service.seen.map(({ headers }) => Number(String(headers['cache-change']).split('/')[1])), [1, 2, 3, 4])
  })

t.test('http: reads return pending changes, whatever the service sends meanwhile', async (t) => {
  const barrier = new Barrier()
  const service = await stub(t, async (response, { method }) => {
    if (method === 'GET') return good(response, 'a', 'old')
    await barrier.pass()
    response.writeHead(204).end()
  })
  const backend = await service.open()
  t.equal(await textAt(backend, 'a'), 'old')
  const deleted = backend.delete('a')
  t.equal(await textAt(backend, 'a'), undefined, 'a delete that is not confirmed yet')
  const set = backend.set('a', entry('new'))
  t.equal(await textAt(backend, 'a'), 'new')
  const over = backend.set('a', { value: Buffer.from('x'), expiresAt: 5 })
  t.equal(await textAt(backend, 'a'), undefined)
  barrier.open()
  await Promise.all([deleted, set, over])
  t.same(service.seen.filter(({ method }) => method !== 'GET').map(({ method }) => method), ['DELETE', 'DELETE'])
  t.equal(await textAt(backend, 'a'), 'old')
})

t.test('http: a delete that was never confirmed rejects, and the next one is sent again', async (t) => {
  let isDown = true
  const service = await stub(t, (response) => response.writeHead(isDown ? 500 : 204).end())
  const backend = await service.open({ maxRetries: 1 })
  t.match(await failureOf(() => backend.delete('a')), { code: 'CACHE_ERR_BACKEND_FAILED', message: 'responded with 500' })
  isDown = false
  await backend.delete('a')
  t.equal(service.seen.length, 3)
})

t.test('http: a value above maxValueBytes is not sent, deletes the previous entry, and rejects', async (t) => {
  const service = await stub(t, (response) => response.writeHead(204).end())
  const backend = await service.open({ maxValueBytes: 10 })
  t.match(await failureOf(() => backend.set('a', entry('12345678901'))), { message: 'larger than http.maxValueBytes' })
  t.same(service.seen.map(({ method }) => method), ['DELETE'])
  await backend.set('a', entry('1234567890'))
  await until(() => service.seen.length === 2)
})
