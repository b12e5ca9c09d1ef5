// Streams that several clients receive, while some of them read slowly, leave, or are the only one that is left.
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import type { Readable } from 'node:stream'
import t from 'tap'
import { Barrier, turns, until } from '../../support/barrier.js'
import { HOST, portOf } from '../../support/client.js'
import { collapsing, everywhere } from '../../support/collapsing.js'
import { sources } from '../../support/told-streams.js'

const KIB = 1_024

const PIECES = 56

t.test('a client that reads slowly, or leaves, holds up neither the others nor the record', async (t) => {
  await everywhere(t, async (t, where) => {
    if (where.via === 'h2') return
    const { made, routes } = sources({ maxBodyBytes: 10 * KIB * KIB })
    const app = await collapsing(t, where, { routes })
    const slow = http.request({ host: '127.0.0.1', port: await portOf(app.app), path: '/', headers: { host: HOST }, agent: false }).end()
    const source = await made()
    source.push('a')
    const [response] = await once(slow, 'response') as [Readable]
    response.pause()
    const leaving = app.ask({ leaveAfterBytes: 1 })
    const other = app.ask()
    await app.asked(3)
    t.match(await leaving, { whole: false })
    // With its head, the response must not be larger than redis.maxValueBytes.
    for (let at = 0; at < PIECES; at++) {
      source.push(Buffer.alloc(128 * KIB, 'x'))
      await until(() => source.wanted)
    }
    source.push(null)
    t.equal((await other).body.byteLength, 1 + PIECES * 128 * KIB)
    await until(async () => (await app.stats()).stores === 1)
    let bytes = 0
    response.on('data', (piece: Buffer) => { bytes += piece.byteLength })
    response.resume()
    await once(response, 'end')
    t.equal(bytes, 1 + PIECES * 128 * KIB, 'the slow one receives all of it, too')
  })
})

t.test('a client that leaves in the middle of a shared stream holds up nobody, over HTTP/2 and behind another response, too', async (t) => {
  await everywhere(t, async (t, where) => {
    const slow = new Barrier()
    const { made, routes } = sources({ maxBodyBytes: 10 })
    const app = await collapsing(t, where, {
      routes (app) {
        app.get('/slow', async () => { await slow.pass() })
        routes(app)
      }
    })
    const first = app.ask()
    const source = await made()
    source.push('a')
    const port = await portOf(app.app)
    const leave = where.via === 'h2' ? readingHttp2(port) : readingBehind(port)
    await until(async () => (await app.stats()).coalescedStreams === 1)
    await turns()
    leave()
    await turns()
    for (let at = 0; at < 40; at++) {
      await until(() => source.wanted)
      source.push(Buffer.alloc(16 * KIB, 'x'))
    }
    source.push(null)
    t.equal((await first).body.byteLength, 1 + 40 * 16 * KIB)
    t.match(await app.stats(), { stalled: 0 })
    slow.open()
  })
})

/** Requests `/` over HTTP/2, reads nothing, and returns what makes the client leave. */
function readingHttp2 (port: number): () => void {
  const session = http2.connect(`http://127.0.0.1:${port}`).on('error', () => {})
  session.request({ ':path': '/', ':authority': HOST }).on('error', () => {}).pause()
  return () => session.destroy()
}

/** Requests `/slow` and then `/` on one connection, and returns what makes the client leave. */
function readingBehind (port: number): () => void {
  const socket = net.connect(port, '127.0.0.1').on('error', () => {})
  socket.write(['/slow', '/'].map((path) => `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`).join(''))
  return () => socket.destroy()
}

t.test('the stream of a client that has left is recorded to its end, for those who wait and for those who come', async (t) => {
  await everywhere(t, async (t, where) => {
    if (where.via === 'h2') return
    for (const bytes of [1, 2, 3]) {
      const { made, routes, all } = sources()
      const app = await collapsing(t, where, { routes, namespace: `bytes${bytes}` })
      const leaving = app.ask({ leaveAfterBytes: bytes })
      const source = await made()
      source.push('abc'.slice(0, bytes))
      t.match(await leaving, { whole: false })
      const other = app.ask()
      await app.asked(2)
      source.push('abcd'.slice(bytes))
      source.push(null)
      t.match(await other, { text: 'abcd', whole: true })
      t.match(await app.ask(), { text: 'abcd', hit: true })
      t.equal(all.length, 1)
    }
  })
})

t.test('a stream that its only client has left, and that produces nothing, is ended after lockTimeout', async (t) => {
  await everywhere(t, async (t, where) => {
    if (where.via === 'h2') return
    const { made, routes } = sources()
    const app = await collapsing(t, where, { routes, lockTimeout: '50ms' })
    const leaving = app.ask({ leaveAfterBytes: 1 })
    const source = await made()
    source.push('a')
    await leaving
    await until(() => source.isDestroyed)
    t.match(await app.stats(), { refusals: { 'client-gone': 1 }, stores: 0 })
  })
})

t.test('when the cache closes, a stream that its client has left is ended', async (t) => {
  await everywhere(t, async (t, where) => {
    if (where.via === 'h2') return
    const { made, routes } = sources()
    const app = await collapsing(t, where, { routes, lockTimeout: '1h' })
    const leaving = app.ask({ leaveAfterBytes: 1 })
    const source = await made()
    source.push('a')
    await leaving
    await turns()
    t.notOk(source.isDestroyed)
    await app.app.close()
    t.ok(source.isDestroyed)
  })
})
