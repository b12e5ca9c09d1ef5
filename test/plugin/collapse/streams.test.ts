// Streams that several clients receive: from the first byte, each at its own pace, whatever becomes of the client that came first.
import t from 'tap'
import { turns, until } from '../../support/barrier.js'
import { collapsing, everywhere, many } from '../../support/collapsing.js'
import { sources } from '../../support/told-streams.js'

/** Resolves once a client has received so many bytes. */
function progress (): { onProgress: (bytes: number) => void, reaches (bytes: number): Promise<void> } {
  let last = -1
  return { onProgress: (bytes) => { last = bytes }, reaches: async (bytes) => await until(() => last >= bytes) }
}

t.test('a second client receives the first bytes of a stream that goes on, and the handler runs once', async (t) => {
  await everywhere(t, async (t, where) => {
    const { made, routes, all } = sources()
    const app = await collapsing(t, where, { routes })
    const [one, two] = [progress(), progress()]
    const first = app.ask({ onProgress: one.onProgress })
    const source = await made()
    source.push('first\n')
    if (where.via === 'socket') await one.reaches(6)
    await turns()
    const second = app.ask({ onProgress: two.onProgress })
    if (where.via === 'socket') await two.reaches(6)
    await app.asked(2)
    source.push('second\n')
    if (where.via === 'socket') await two.reaches(13)
    const third = app.ask()
    await app.asked(3)
    source.push('third\n')
    source.push(null)
    for (const response of await Promise.all([first, second, third])) {
      t.match(response, { status: 200, text: 'first\nsecond\nthird\n', whole: true })
    }
    t.match((await second).cacheStatus, /fwd=miss; collapsed; detail=stream$/)
    t.equal(all.length, 1)
    await until(async () => (await app.stats()).stores === 1)
    t.match(await app.stats(), { coalesced: 2, coalescedStreams: 2 })
    t.match(await app.ask(), { hit: true, text: 'first\nsecond\nthird\n' })
  })
})

t.test('a client that is sent a stream is told its length if the handler announced it', async (t) => {
  await everywhere(t, async (t, where) => {
    for (const headers of [{ 'content-length': '2' }, {}] as Array<Record<string, string>>) {
      const { made, routes } = sources({}, headers)
      const app = await collapsing(t, where, { routes, namespace: String(Object.keys(headers).length) })
      const responses = [app.ask(), app.ask()]
      await app.asked(2)
      const source = await made()
      source.push('a')
      await until(async () => (await app.stats()).coalescedStreams === 1)
      source.push('b')
      source.push(null)
      for (const response of await Promise.all(responses)) {
        t.match(response, { text: 'ab', whole: true })
        t.equal(response.headers['content-length'], headers['content-length'])
      }
    }
  })
})

t.test('requests that wait when a stream begins receive it from its first byte', async (t) => {
  await everywhere(t, async (t, where) => {
    const { made, routes, all } = sources()
    const app = await collapsing(t, where, { routes })
    const responses = many(20, async () => await app.ask())
    await app.asked(20)
    const source = await made()
    source.push('a')
    await until(async () => (await app.stats()).coalescedStreams === 19)
    source.push('b')
    source.push(null)
    for (const response of await Promise.all(responses)) t.match(response, { text: 'ab', whole: true })
    t.equal(all.length, 1)
  })
})

t.test('a stream beyond maxBodyBytes goes on for the clients that receive it, and others run the handler', async (t) => {
  await everywhere(t, async (t, where) => {
    const { made, routes, all } = sources({ maxBodyBytes: 10 })
    const app = await collapsing(t, where, { routes })
    const responses = [app.ask(), app.ask()]
    const source = await made()
    await app.asked(2)
    source.push('12345')
    await until(async () => (await app.stats()).coalescedStreams === 1)
    const waiting = app.ask({ headers: { range: 'bytes=0-1' } })
    await app.asked(3)
    source.push('6789012345')
    ;(await made(2)).push('one of its own')
    all[1]!.push(null)
    t.match(await waiting, { text: 'one of its own', whole: true }, 'it was sent nothing yet')
    const later = app.ask()
    ;(await made(3)).push('later')
    all[2]!.push(null)
    t.match(await later, { text: 'later' })
    source.push('end')
    source.push(null)
    for (const response of await Promise.all(responses)) t.match(response, { text: '123456789012345end', whole: true })
    t.match(await app.stats(), { coalesced: 1 })
  })
})

t.test('a stream that breaks off breaks the responses that it has begun, and requests that wait run the handler', async (t) => {
  await everywhere(t, async (t, where) => {
    const { made, routes, all } = sources()
    const app = await collapsing(t, where, { routes })
    const responses = [app.ask(), app.ask()]
    const source = await made()
    await app.asked(2)
    source.push('abc')
    await until(async () => (await app.stats()).coalescedStreams === 1)
    const waiting = app.ask({ headers: { range: 'bytes=0-1' } })
    await app.asked(3)
    source.stream.destroy(new Error('broken'))
    ;(await made(2)).push('whole')
    all[1]!.push(null)
    t.match(await waiting, { text: 'wh', status: 206 })
    const [first, second] = await Promise.all(responses)
    // Over HTTP/2, Fastify ends the response to the first request as if it were whole, with the cache as without it.
    if (where.via === 'socket') t.equal(first!.whole, false)
    t.equal(second!.whole, false, 'an honest break')
    t.match(await app.stats(), { refusals: { 'stream-failed': 1 } })
  })
})

t.test('nobody waits long for a stream that has a head and no bytes, nor for the rest of one that does not end', async (t) => {
  await everywhere(t, async (t, where) => {
    const { made, routes, all } = sources()
    const app = await collapsing(t, where, { routes, lockTimeout: '1h' })
    const first = app.ask()
    const source = await made()
    const waiting = [app.ask(), app.ask({ headers: { range: 'bytes=0-1' } })]
    await app.asked(3)
    t.equal(all.length, 1)
    source.push('ab')
    await until(async () => (await app.stats()).coalescedStreams === 1)
    source.push('c')
    source.push(null)
    t.match(await first, { text: 'abc' })
    t.match(await waiting[0], { text: 'abc' })
    t.match(await waiting[1], { text: 'ab', status: 206 })
  })
  await everywhere(t, async (t, where) => {
    const { made, routes, all } = sources()
    const app = await collapsing(t, where, { routes, lockTimeout: '250ms' })
    const first = app.ask()
    const source = await made()
    const waiting = app.ask()
    ;(await made(2)).push('second')
    all[1]!.push(null)
    t.match(await waiting, { text: 'second', cacheStatus: /detail=lock-timeout/ })
    source.push('first')
    await turns()
    const ranged = app.ask({ headers: { range: 'bytes=0-1' } })
    ;(await made(3)).push('third')
    all[2]!.push(null)
    t.match(await ranged, { text: 'third', status: 200 })
    source.push(null)
    t.match(await first, { text: 'first' })
  })
})

t.test("a stream's head decides: a client that has it gets a 304 at once, and one response for one user is not shared", async (t) => {
  await everywhere(t, async (t, where) => {
    const { made, routes, all } = sources({}, { etag: '"1"' })
    const app = await collapsing(t, where, { routes })
    const first = app.ask()
    const source = await made()
    source.push('a')
    await turns()
    t.match(await app.ask({ headers: { 'if-none-match': '"1"' } }), { status: 304 })
    source.push(null)
    await first
    t.equal(all.length, 1)

    const setting = sources({}, { 'set-cookie': 'a=1' })
    const other = await collapsing(t, where, { routes: setting.routes, namespace: 'other' })
    const responses = [other.ask(), other.ask()]
    await setting.made(2)
    for (const each of setting.all) { each.push('own'); each.push(null) }
    await Promise.all(responses)
    t.match(await other.stats(), { coalesced: 0 })
  })
})

t.test('a session that sets its cookie when the head is written keeps a stream from being shared', async (t) => {
  await everywhere(t, async (t, where) => {
    const { made, routes, all } = sources()
    const app = await collapsing(t, where, {
      routes (app) {
        app.addHook('onRequest', async (_request, { raw }) => {
          const { writeHead } = raw
          // As express-session does.
          const withCookie = (...args: unknown[]): unknown => {
            raw.setHeader('set-cookie', 'sid=1')
            return writeHead.apply(raw, args as [number])
          }
          Object.assign(raw, { writeHead: withCookie })
        })
        routes(app)
      }
    })
    const responses = [app.ask(), app.ask()]
    const source = await made()
    await app.asked(2)
    source.push('of one user')
    const second = await made(2)
    second.push('of another')
    source.push(null)
    second.push(null)
    t.same((await Promise.all(responses)).map(({ text }) => text).sort(), ['of another', 'of one user'])
    t.equal(all.length, 2)
    t.match(await app.stats(), { coalesced: 0, stores: 0 })
  })
})
