// The HTTP backend against services that hang, send byte by byte, lie, redirect and send nonsense.
import { createServer, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { gzipSync, brotliCompressSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { textAt } from '../support/entries.js'
import { entry, failureOf, good, listen, openHttp, stub, TOKEN } from '../support/http.js'
import { cert, key } from '../support/certificate.js'
import { until } from '../support/barrier.js'
import type { CacheBackend } from '../../registry/backend.js'

const TIMEOUT_MS = 150
// How late a timer may fire on a busy machine.
const SLACK_MS = 5_000

/** A service below HTTP: `talk` is called with each connection once its request has arrived. */
async function raw (t: Test, talk: (socket: Socket) => void, options = {}): Promise<CacheBackend> {
  const port = await listen(t, createServer((socket) => socket.once('data', () => talk(socket))))
  return await openHttp(t, { baseUrl: `http://127.0.0.1:${port}`, authToken: TOKEN, timeout: `${TIMEOUT_MS}ms`, ...options })
}

const HEAD = 'HTTP/1.1 200 OK\r\ncache-expires-at: 9007199254740991\r\n'

t.test('http: a service that never responds costs each call its timeout, retries included', async (t) => {
  const backend = await raw(t, () => {}, { maxRetries: 3 })
  const began = performance.now()
  const failures = await Promise.all([
    failureOf(() => backend.get('a')), failureOf(() => backend.set('b', entry('v'))), failureOf(() => backend.delete('c'))
  ])
  t.ok(performance.now() - began < TIMEOUT_MS + SLACK_MS)
  for (const { code, message } of failures) {
    t.equal(code, 'CACHE_ERR_BACKEND_FAILED')
    t.match(message, `no response within ${TIMEOUT_MS} ms`)
  }
})

t.test('http: a call that waits for one of maxConnections fails within the timeout too', async (t) => {
  let [open, most] = [0, 0]
  const port = await listen(t, createServer((socket) => {
    most = Math.max(most, ++open)
    socket.resume().once('close', () => { open-- })
  }))
  const backend = await openHttp(t, { baseUrl: `http://127.0.0.1:${port}`, timeout: `${TIMEOUT_MS}ms`, maxConnections: 2 })
  const began = performance.now()
  const failures = await Promise.all(Array.from({ length: 10 }, (_, at) => failureOf(() => backend.get(String(at)))))
  t.ok(performance.now() - began < TIMEOUT_MS + SLACK_MS)
  for (const { message } of failures) t.match(message, /no response within/)
  t.ok(most <= 4, `${most} connections at a time: two, and two that replace connections whose end the server has not seen yet`)
})

t.test('http: a body that arrives byte by byte is cut off at the timeout', async (t) => {
  const backend = await raw(t, (socket) => {
    socket.write(`${HEAD}content-length: 1000\r\n\r\n`)
    const drip = setInterval(() => socket.write('x'), 20)
    socket.on('close', () => clearInterval(drip)).on('error', () => {})
  })
  const began = performance.now()
  t.match((await failureOf(() => backend.get('a'))).message, /no response within/)
  t.ok(performance.now() - began < TIMEOUT_MS + SLACK_MS)
})

t.test('http: a head that arrives byte by byte is cut off at the timeout', async (t) => {
  const backend = await raw(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nx: ')
    const drip = setInterval(() => socket.write('x'), 20)
    socket.on('close', () => clearInterval(drip)).on('error', () => {})
  })
  t.match((await failureOf(() => backend.get('a'))).message, /no response within/)
})

t.test('http: a huge body is refused by its content-length before it is read, or cut off at the limit if it has none', async (t) => {
  for (const field of [`content-length: ${2 ** 31}`, 'transfer-encoding: chunked', 'content-length: 9'.replace('9', '9'.repeat(15))]) {
    let sent = 0
    const backend = await raw(t, (socket) => {
      socket.write(`${HEAD}${field}\r\n\r\n`)
      const part = Buffer.alloc(65_536, 'x')
      const pump = (): void => {
        let goesOn = true
        while (goesOn && !socket.destroyed) {
          sent += part.length
          goesOn = field.startsWith('t')
            ? socket.write(Buffer.concat([Buffer.from('10000\r\n'), part, Buffer.from('\r\n')]))
            : socket.write(part)
        }
      }
      socket.on('drain', pump)
      pump()
    }, { maxValueBytes: 1_000_000, timeout: '10s' })
    const { message } = await failureOf(() => backend.get('a'))
    t.match(message, 'larger than 1000032 bytes')
    t.ok(sent < 20_000_000, `${sent} bytes were sent`)
  }
})

t.test('http: a body that is shorter or longer than announced, or not HTTP at all, is a failure and never a value', async (t) => {
  const responses: Record<string, (socket: Socket) => void> = {
    'closed early': (socket) => socket.end(`${HEAD}content-length: 100\r\n\r\nhalf`),
    'chunked garbage': (socket) => socket.end(`${HEAD}transfer-encoding: chunked\r\n\r\nzz\r\nnonsense`),
    'no HTTP': (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
    'cut off in the head': (socket) => socket.end('HTTP/1.1 200 OK\r\ncache-exp'),
    'a reset': (socket) => socket.resetAndDestroy(),
    'two lengths': (socket) => socket.end(`${HEAD}content-length: 1\r\ncontent-length: 2\r\n\r\nxx`),
    nothing: (socket) => socket.end()
  }
  for (const [name, talk] of Object.entries(responses)) {
    const backend = await raw(t, talk, { timeout: '5s' })
    t.equal((await failureOf(() => backend.get('a'))).code, 'CACHE_ERR_BACKEND_FAILED', name)
  }
})

t.test('http: bytes after the end of a response are not taken for the next one', async (t) => {
  const service = await stub(t, (response, _seen, number) => {
    if (number > 0) return good(response, 'b', 'of b')
    const socket = response.socket!
    socket.write(
      'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\ncache-expires-at: 9007199254740991\r\ncontent-length: 5\r\n\r\nwrong')
  })
  const backend = await service.open({ maxConnections: 1 })
  t.equal(await textAt(backend, 'a'), undefined)
  t.equal(await textAt(backend, 'b'), 'of b')
})

t.test('http: no encoding is requested, and a response with an encoding is refused and not decoded', async (t) => {
  const bomb = Buffer.alloc(8 * 1024 * 1024)
  const encodings: Record<string, Buffer> = {
    gzip: gzipSync(bomb), br: brotliCompressSync(bomb), 'gzip, br': gzipSync(bomb), 'x-unknown': Buffer.from('x')
  }
  for (const [encoding, body] of Object.entries(encodings)) {
    const service = await stub(t, (response) =>
      response.writeHead(200, { 'content-encoding': encoding, 'cache-expires-at': '9007199254740991' }).end(body))
    const backend = await service.open()
    t.match((await failureOf(() => backend.get('a'))).message, 'content-encoding', encoding)
    t.equal(service.seen[0]!.headers['accept-encoding'], 'identity')
  }
})

t.test('http: a redirect is a failure and is not followed, and no other host receives the token', async (t) => {
  const elsewhere = await stub(t, (response) => response.end('reached'))
  const targets = [
    `${elsewhere.baseUrl}/cache/x`, 'http://169.254.169.254/latest/meta-data/', 'file:///etc/passwd', '//127.0.0.1:1/', '/', 'cache'
  ]
  for (const status of [300, 301, 302, 303, 307, 308]) {
    const service = await stub(t, (response, _seen, number) =>
      response.writeHead(status, { location: targets[number % targets.length]! }).end())
    const backend = await service.open({ maxRetries: 2 })
    for (let asked = 0; asked < targets.length; asked++) {
      t.match((await failureOf(() => backend.get('a'))).message, `responded with ${status}`)
    }
    t.match((await failureOf(() => backend.set('a', entry('v')))).message, `responded with ${status}`)
    t.match((await failureOf(() => backend.delete('a'))).message, `responded with ${status}`)
    t.equal(service.seen.length, targets.length + 2, `${status} is requested once`)
  }
  t.equal(elsewhere.seen.length, 0)
})

t.test('http: 404 and 410 are misses, and any other response without an entry is a failure and is not retried', async (t) => {
  const expires = { 'cache-expires-at': '9007199254740991' }
  const responses: ReadonlyArray<readonly [name: string, status: number, headers: Record<string, string>, body: string]> = [
    ['HTML without an instant', 200, { 'content-type': 'text/html' }, '<h1>log in</h1>'],
    ['HTML with an instant', 200, expires, '<h1>log in</h1> and some more text so that it is long enough'],
    ['JSON of another shape', 200, expires, '{"value":123,"__proto__":{"polluted":true}}'],
    ['nothing', 200, expires, ''],
    ...[
      '', 'soon', '-1', '1e3', '0x10', ' 5 5', '99999999999999999', '5, 6'
    ].map((at) => [`the instant ${at}`, 200, { 'cache-expires-at': at }, 'x'.repeat(64)] as const),
    ...[201, 202, 203, 206, 207].map((status) => [`${status} with an entry`, status, expires, 'x'.repeat(64)] as const),
    ...[
      204, 205, 304, 400, 401, 403, 405, 409, 412, 413, 429, 500, 502, 503, 504, 599
    ].map((status) => [String(status), status, { 'retry-after': '0' }, ''] as const)
  ]
  for (const [name, status, headers, body] of responses) {
    const service = await stub(t, (response) => response.writeHead(status, headers).end(body))
    const { code } = await failureOf(async () => { await (await service.open()).get('a') })
    t.equal(code, 'CACHE_ERR_BACKEND_FAILED', name)
    t.equal(service.seen.length, 1, `${name} is requested once`)
  }
  for (const status of [404, 410]) {
    const service = await stub(t, (response) => response.writeHead(status).end('x'.repeat(100_000)))
    t.equal(await (await service.open()).get('a'), undefined, String(status))
  }
  t.equal(({} as { polluted?: unknown }).polluted, undefined)
})

t.test('http: an entry of another key is a failure, and an expired entry is a miss', async (t) => {
  const service = await stub(t, (response, { url }) => good(response, 'b', 'of b', url.endsWith('0') ? 0 : 1))
  const backend = await service.open()
  t.match((await failureOf(() => backend.get('a'))).message, 'something other than what was asked for')
  t.equal(await backend.get('b'), undefined)
})

t.test('http: any 2xx to a write or a delete is success, so are 404 and 410 to a delete, and 4xx is not retried', async (t) => {
  for (const status of [200, 201, 202, 204, 404, 410]) {
    const service = await stub(t, (response) => response.writeHead(status).end())
    const backend = await service.open()
    await backend.delete('a')
    if (status < 300) await backend.set('a', entry('v'))
    t.equal(service.seen.length, status < 300 ? 2 : 1, String(status))
  }
  for (const status of [400, 401, 403, 404, 405, 408, 409, 413, 415, 422]) {
    const service = await stub(t, (response) => response.writeHead(status).end())
    const backend = await service.open({ maxRetries: 3 })
    t.match((await failureOf(() => backend.set('a', entry('v')))).message, `responded with ${status}`)
    t.equal(service.seen.length, 1, `${status} is requested once`)
  }
})

t.test('http: a read after a failure is sent again', async (t) => {
  const service = await stub(t, (response, _seen, number) => number === 0 ? response.writeHead(500).end() : good(response, 'a', 'value'))
  const backend = await service.open()
  await failureOf(() => backend.get('a'))
  t.equal(await textAt(backend, 'a'), 'value')
})

t.test('http: an unknown host and an untrusted certificate are errors that show no credentials', async (t) => {
  const unsigned = await listen(t, createTlsServer({ key, cert }, (socket) => t.fail(`it received a connection: ${socket.remotePort}`)))
  // A TLS server without a certificate refuses every handshake.
  const without = await listen(t, createTlsServer({}))
  for (const where of ['nobody.invalid', `localhost:${unsigned}`, `127.0.0.1:${without}`, '127.0.0.1:1']) {
    const backend = await openHttp(t, { baseUrl: `https://user:s3cr%65t-word@${where}/`, timeout: '5s', maxRetries: 0 })
    for (const call of [() => backend.get('a'), () => backend.set('a', entry('v')), () => backend.delete('a')]) {
      const { code, shown } = await failureOf(call)
      t.equal(code, 'CACHE_ERR_BACKEND_FAILED', where)
      t.notMatch(shown, /s3cr|user:|dXNlcj/, where)
    }
  }
})

t.test('http: a connection that is never established is given up at the timeout', async (t) => {
  // No host responds there (RFC 5737). Without a route the connection fails at once.
  const backend = await openHttp(t, { baseUrl: 'http://192.0.2.1', timeout: `${TIMEOUT_MS}ms` })
  const began = performance.now()
  await failureOf(() => backend.get('a'))
  t.ok(performance.now() - began < TIMEOUT_MS + SLACK_MS)
})

t.test('http: a read that was given up does not disturb the next one on the same connection', async (t) => {
  let held: (() => void) | undefined
  const service = await stub(t, (response, _seen, number) => {
    if (number > 0) return good(response, 'b', 'of b')
    held = () => good(response, 'a', 'of a')
  })
  const backend = await service.open({ timeout: '300ms', maxConnections: 1 })
  await failureOf(() => backend.get('a'))
  await until(() => held !== undefined)
  held!()
  t.equal(await textAt(backend, 'b'), 'of b')
})
