// The HTTP backend while a value arrives in very many chunks, or after the caller stopped waiting: memory in use, and how much is read.
import { connect, createServer, type Server, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { sealed } from '../../backends/http/codec.js'
import { builtIns } from '../../backends/index.js'
import type { CacheBackend } from '../../registry/backend.js'
import type { Duration } from '../../registry/check.js'
import { nameOf, storedKey } from '../../registry/codec.js'
import { build } from '../support/app.js'
import { Barrier, turns, until } from '../support/barrier.js'
import { failureOf, listen, openHttp, serve, TOKEN } from '../support/http.js'
import { usedBytes } from '../support/oracles.js'

// A million chunks take long on a busy machine.
t.setTimeout(120_000)

const READS = 10
const WRITES = 3
const VALUE_BYTES = 180_000
const MB = 1e6

const HEAD = 'HTTP/1.1 200 OK\r\ncache-expires-at: 9007199254740991\r\n'
const CHUNKED = `${HEAD}transfer-encoding: chunked\r\n\r\n`
const LAST_CHUNK = '0\r\n\r\n'

/** Bytes as chunks of one byte each, in the framing of HTTP/1.1. */
function byteByByte (bytes: Buffer): Buffer {
  const framed = Buffer.alloc(bytes.byteLength * 6)
  for (const [at, byte] of bytes.entries()) framed.write('1\r\nx\r\n', at * 6) && framed.writeUInt8(byte, at * 6 + 3)
  return framed
}

/** A service below HTTP: `talk` is called with each request on any connection. */
function service (talk: (socket: Socket, number: number) => void): Server & { connections: Socket[] } {
  let requests = 0
  const connections: Socket[] = []
  return Object.assign(createServer((socket) => {
    connections.push(socket)
    socket.on('error', () => {}).on('data', () => talk(socket, requests++))
  }), { connections })
}

async function urlOf (t: Test, server: Server): Promise<string> {
  return `http://127.0.0.1:${await listen(t, server)}`
}

t.test('http: reads that arrive in chunks of one byte take about the memory of their bytes, and return the value', async (t) => {
  const value = Buffer.alloc(VALUE_BYTES, 'the value ')
  const chunks = byteByByte(sealed(value, nameOf(storedKey('key'))))
  const sent = new Barrier()
  const server = service((socket) => {
    socket.write(CHUNKED)
    socket.write(chunks, () => { sent.pass().then(() => socket.write(LAST_CHUNK)) })
  })
  const backend = await openHttp(t, { baseUrl: await urlOf(t, server), timeout: '60s' })
  const before = usedBytes()
  const reads = Array.from({ length: READS }, () => backend.get('key'))
  await sent.reached(READS)
  await turns(50)
  const heldBytes = usedBytes() - before
  sent.open()
  for (const found of await Promise.all(reads)) t.ok(value.equals(found!.value))
  t.ok(heldBytes < 2 * READS * VALUE_BYTES + 10 * MB, `${(heldBytes / MB).toFixed(1)} MB are used for ${READS * VALUE_BYTES / MB} MB`)
})

t.test('http: the body of a write\'s response is not kept', async (t) => {
  let body: Socket | undefined
  const server = service((socket) => {
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
    body = socket
  })
  const backend = await openHttp(t, { baseUrl: await urlOf(t, server), timeout: '60s' })
  const written = backend.delete('key')
  await until(() => body !== undefined)
  body!.write(byteByByte(Buffer.alloc(20_000, 'x')))
  await written
  t.pass('the write resolves once the status is known, however long the body goes on')
})

t.test('cache service: values written in chunks of one byte take about the memory of their bytes, and are stored whole', async (t) => {
  const { baseUrl, backend } = await serve(t)
  const value = Buffer.alloc(VALUE_BYTES, 'the value ')
  const chunks = byteByByte(value)
  const digest = nameOf(storedKey('key'))
  const head = `PUT /cache/${digest} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n` +
    'cache-expires-at: 9007199254740991\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n'
  const before = usedBytes()
  const writes = await Promise.all(Array.from({ length: WRITES }, async () => {
    const socket = connect(Number(new URL(baseUrl).port), '127.0.0.1')
    await new Promise((resolve) => { socket.write(head); socket.write(chunks, resolve) })
    return socket
  }))
  await turns(50)
  const heldBytes = usedBytes() - before
  for (const socket of writes) {
    const said = new Promise((resolve) => { socket.once('data', resolve) })
    socket.write(LAST_CHUNK)
    t.match(String(await said), /^HTTP\/1.1 204 /)
    socket.destroy()
  }
  t.ok(value.equals((await backend.get(digest))!.value))
  t.ok(heldBytes < 2 * WRITES * VALUE_BYTES + 10 * MB, `${(heldBytes / MB).toFixed(1)} MB are used for ${WRITES * VALUE_BYTES / MB} MB`)
})

t.test('cache service: a body without a length that grows too large is refused, and the client receives 413', async (t) => {
  const { baseUrl, backend } = await serve(t, { maxBodyBytes: 100_000 })
  const digest = nameOf(storedKey('key'))
  const put = async (body: unknown) => await fetch(`${baseUrl}/cache/${digest}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${TOKEN}`, 'cache-expires-at': '9007199254740991', 'content-type': 'application/octet-stream' },
    body: body as never,
    duplex: 'half'
  } as RequestInit)
  async function * parts (count: number) { for (let at = 0; at < count; at++) yield Buffer.alloc(1_000, 'x') }
  for (const body of [parts(101), Buffer.alloc(100_001)]) t.equal((await put(body)).status, 413)
  t.equal(await backend.get(digest), undefined)
  for (const body of [parts(100), Buffer.alloc(100_000)]) t.equal((await put(body)).status, 204)
  t.equal((await backend.get(digest))!.value.byteLength, 100_000)
})

/** An application with a short deadline, on a slow service. */
async function cached (t: Test, server: Server, deadline: Duration = '50ms') {
  const baseUrl = await urlOf(t, server)
  return await build(t, {
    backend: 'http',
    options: { baseUrl, timeout: '60s', maxConnections: 1 },
    deadline,
    routes: (app) => { app.get('/', { config: { cache: { ttl: '1m' } } }, async () => 'made') },
    compare: false
  })
}

t.test('http: a late body is not read further once the request\'s deadline has passed', async (t) => {
  let isClosed = false
  const server = service((socket, number) => {
    if (number > 0) return
    socket.write(CHUNKED)
    const drip = setInterval(() => socket.write('1\r\nx\r\n'), 5)
    socket.on('close', () => {
      clearInterval(drip)
      isClosed = true
    })
  })
  // Long enough for the head to arrive in time on a busy machine. If the head were late, the body would be read to keep the connection.
  const app = await cached(t, server, '1s')
  t.match(await app.ask({ url: '/', slow: true }), { text: 'made' })
  await until(() => isClosed)
  t.pass('long before the backend\'s timeout')
})

/** A backend with a deadline of 50 ms and one connection. */
async function hurried (t: Test, server: Server): Promise<CacheBackend> {
  const options = { baseUrl: await urlOf(t, server), timeout: '60s', maxConnections: 1 } as const
  const backend = await builtIns().open({ backend: 'http', options }, { deadlineMs: 50 })
  t.teardown(() => backend.close())
  return backend
}

t.test('http: a small response that begins after the deadline leaves its connection to the next read', async (t) => {
  let late: Socket | undefined
  const server = service((socket, number) => {
    if (number === 0) late = socket
    else if (number === 1) socket.write('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n')
  })
  const backend = await hurried(t, server)
  t.match((await failureOf(() => backend.get('key'))).message, 'no response within 50 ms')
  late!.write(`${HEAD}content-length: 5\r\n\r\nvalue`)
  await turns()
  t.equal(await backend.get('key'), undefined)
  t.equal(server.connections.length, 1)
})

t.test('http: a large response that begins after the deadline is not read further', async (t) => {
  let late: Socket | undefined
  const server = service((socket) => { late = socket })
  const backend = await hurried(t, server)
  await failureOf(() => backend.get('key'))
  late!.write(`${HEAD}content-length: ${MB}\r\n\r\n`)
  late!.write(Buffer.alloc(100_000))
  await until(() => late!.destroyed)
  t.pass('the connection is closed')
})

t.test('http: a read whose deadline passes while it waits for a connection is not sent, and keeps the connection', async (t) => {
  const seen: number[] = []
  let held: Socket | undefined
  const server = service((socket, number) => {
    seen.push(number)
    if (number === 0) held = socket
    else socket.write('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n')
  })
  const backend = await hurried(t, server)
  const writing = backend.delete('other')
  await until(() => held !== undefined)
  await Promise.all(Array.from({ length: 5 }, () => failureOf(() => backend.get('key'))))
  held!.write('HTTP/1.1 204 No Content\r\n\r\n')
  await writing
  t.equal(await backend.get('key'), undefined)
  t.same(seen, [0, 1], 'the reads that were given up were not sent')
  t.equal(server.connections.length, 1)
})
