// The HTTP backend beyond conformance: its options, what it sends, what it never shows, how it closes.
import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import { inspect } from 'node:util'
import Fastify from 'fastify'
import t from 'tap'
import plugin from '../../plugin.js'
import { HTTP_MAX_VALUE_BYTES } from '../../backends/http.js'
import { readOptions } from '../../backends/http/options.js'
import { nameOf, storedKey } from '../../registry/codec.js'
import { ServiceConnection } from '../../backends/http/connection.js'
import { loadDriver } from '../../backends/http/driver.js'
import { builtIns, type HttpOptions } from '../../backends/index.js'
import { powersOf } from '../../registry/backend.js'
import { runChild } from '../support/child.js'
import { textAt } from '../support/entries.js'
import { entry, failureOf, listen, NEVER_AT, openHttp, serve, stub, TOKEN } from '../support/http.js'

const open = (options: unknown) => builtIns().open({ backend: 'http', options: options as HttpOptions })
const baseUrl = 'http://127.0.0.1:9'

t.test('http: an invalid option is refused by name', async (t) => {
  const wrong: ReadonlyArray<readonly [name: string, options: object]> = [
    ['baseUrl', {}],
    ['baseUrl', { baseUrl: undefined }],
    ...[
      '', 'no url', '/cache', 'localhost:4000', 'file:///etc/passwd', 'ftp://host/', 'redis://host', 'unix:/run/x', 'data:,x',
      'http://h/?q=1', 'http://h/#f', 'http://', 5, null, {}, new URL('http://h/')
    ].map((value) => ['baseUrl', { baseUrl: value }] as const),
    ...['', 'a b', 'a\r\nb', 'ä', 5, null].map((value) => ['authToken', { baseUrl, authToken: value }] as const),
    ['authToken', { baseUrl: 'http://user@host', authToken: 'x' }],
    ...[0, -1, 'soon', '0s', null].map((value) => ['timeout', { baseUrl, timeout: value }] as const),
    ...[-1, 1.5, 101, '3', null, NaN, Infinity].map((value) => ['maxRetries', { baseUrl, maxRetries: value }] as const),
    ...[0, -1, 1.5, '3', null].map((value) => ['maxConnections', { baseUrl, maxConnections: value }] as const),
    ...[0, -1, 1.5, '3', null].map((value) => ['maxValueBytes', { baseUrl, maxValueBytes: value }] as const),
    ['unheardOf', { baseUrl, unheardOf: 1 }]
  ]
  for (const [name, options] of wrong) {
    await t.rejects(open(options), { code: 'CACHE_ERR_OPTION', message: `cache: 'http.${name}' must be` }, inspect(options))
  }
  await t.rejects(open([]), { code: 'CACHE_ERR_OPTION' })
})

t.test('http: maxRetries of 0 and any timeout and maxConnections are accepted', async (t) => {
  for (const options of [
    { maxRetries: 0 }, { maxRetries: 100 }, { timeout: 0.001 }, { timeout: '3650d' }, { maxConnections: 1 }, { maxValueBytes: 1 }
  ]) {
    const backend = await open({ baseUrl, ...options })
    await backend.close()
  }
  t.equal(HTTP_MAX_VALUE_BYTES, 64 * 1024 * 1024)
})

t.test('http: the backend has no optional methods, and the cache names the one that a call needs', async (t) => {
  const service = await serve(t)
  t.same(powersOf(await service.open()), [])
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(plugin, { backend: 'http', options: { baseUrl: service.baseUrl, authToken: TOKEN }, deadline: '5s' })
  app.get('/', { config: { cache: { ttl: '1m', tags: ['a'] } } }, async () => 'response')
  const status = async () => String((await app.inject('/')).headers['cache-status'])
  t.match(await status(), /fwd=miss; stored/)
  await app.cache.set('other', 1, { ttl: '1m' })
  t.match(await status(), /; hit; ttl=/)
  await app.cache.invalidate('a')
  t.match(await status(), /fwd=miss; stored/, 'tags need no optional method')
  await t.rejects(app.cache.clear(), { code: 'CACHE_ERR_POWER_MISSING' })
})

t.test('http: a PUT, GET or DELETE is sent for the key\'s digest below the path of baseUrl, with expiry and token', async (t) => {
  const service = await stub(t, (response) => response.writeHead(404).end())
  for (const [path, below] of [['', ''], ['/', ''], ['/a/b', '/a/b'], ['/a/b//', '/a/b']] as const) {
    service.seen.length = 0
    const backend = await openHttp(t, { baseUrl: service.baseUrl + path, authToken: TOKEN })
    await failureOf(() => backend.set('key', { value: Buffer.from('value'), expiresAt: 9_999_999_999_999.9 }))
    await failureOf(() => backend.set('key', { value: Buffer.from('value'), expiresAt: Infinity }))
    await backend.get('key')
    await backend.delete('key')
    const digest = createHash('sha256').update('key').digest('hex')
    t.same(service.seen.map(({ method, url }) => `${method} ${url}`),
      ['PUT', 'PUT', 'GET', 'DELETE'].map((method) => `${method} ${below}/cache/${digest}`))
    t.same(service.seen.map(({ headers }) => headers['cache-expires-at']), ['9999999999999', String(NEVER_AT), undefined, undefined])
    t.same(service.seen[0]!.body, Buffer.concat([Buffer.from('value'), Buffer.from(digest, 'hex')]))
    for (const { headers } of service.seen) t.equal(headers.authorization, `Bearer ${TOKEN}`)
  }
})

t.test('http: whatever a key contains, the request has one segment of hex and goes to the configured service', async (t) => {
  const service = await stub(t, (response) => response.writeHead(404).end())
  const backend = await service.open()
  const keys = [
    '../../admin?x=1#f', '//host', '@host', 'a\r\nHost: other\r\n\r\nGET / HTTP/1.1', 'http://169.254.169.254/', '%2e%2e', '', '\0',
    'file:///etc/passwd'
  ]
  for (const key of keys) await backend.get(key)
  for (const { url, headers } of service.seen) {
    t.match(url, /^\/cache\/[0-9a-f]{64}$/)
    t.equal(headers.host, service.baseUrl.slice('http://'.length))
  }
  t.equal(new Set(service.seen.map(({ url }) => url)).size, keys.length)
})

t.test('http: different keys have different digests, keys with lone surrogates too', async (t) => {
  const keys = [
    '', 'a', 'A', '\0', 'a\n', '../', '%2e', '\u00e9', 'e\u0301', '__proto__', 'constructor', 'x'.repeat(300), 'x'.repeat(1_000_000), 'CON',
    '\ufffd', '\ud800', '\udfff', 'a\ud800', '\ud800a', '\udfff\ud800'
  ]
  for (let high = 0xd800; high < 0xe000; high++) keys.push(`${String.fromCharCode(high)}!`)
  const digestOf = (key: string) => nameOf(storedKey(key))
  t.equal(new Set(keys.map(digestOf)).size, keys.length)
  t.equal(digestOf('a'), 'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb')
  t.equal(digestOf('grün ✓'), '549ddeffdfa42a82fff672aa9395b6ed065e768f687415d1c628cad359bfd4c0')
  t.equal(digestOf('\ud800'), '1b18f23af3291fa7aaf6450a6e927d8414326b406d651a634411f3c228c80b2e')
})

t.test('http: empty, single, all bytes, invalid UTF-8 and 32 MiB come back unchanged, each in memory of its own', async (t) => {
  const backend = await (await serve(t)).open()
  for (const value of [
    Buffer.alloc(0), Buffer.of(0), Buffer.from(Array.from({ length: 256 }, (_, at) => at)), Buffer.of(0xff, 0xfe),
    Buffer.alloc(32 * 1024 * 1024, 'abc')
  ]) {
    await backend.set('key', { value, expiresAt: NEVER_AT })
    const found = await backend.get('key')
    t.equal(Buffer.compare(found!.value, value), 0, `${value.length} bytes`)
    t.ok(found!.value.buffer.byteLength <= value.length + 64, 'no other bytes are kept with it')
  }
})

t.test('http: credentials in baseUrl are sent as Basic, only to the service, and never in a path', async (t) => {
  const service = await stub(t, (response) => response.writeHead(404).end())
  for (const [userinfo, pair] of [['user:p%40ss', 'user:p@ss'], ['user', 'user:'], [':secret', ':secret'], ['a%zz:b', 'a%zz:b']] as const) {
    const backend = await openHttp(t, { baseUrl: service.baseUrl.replace('//', `//${userinfo}@`) })
    await backend.get('a')
    const { headers, url } = service.seen.at(-1)!
    t.equal(headers.authorization, `Basic ${Buffer.from(pair).toString('base64')}`)
    t.match(url, /^\/cache\/[0-9a-f]{64}$/)
    t.notMatch(headers.host, '@')
  }
})

t.test('http: no option error, call error, inspection or log line shows token, password or value', async (t) => {
  const secrets = /pl4nted|cGw0bnRlZ|4nted/
  const shown: string[] = []
  const keep = async (call: () => unknown) => { shown.push((await failureOf(call)).shown) }
  for (const options of [
    { baseUrl, authToken: 'pl4nted token' }, { baseUrl, authToken: ['pl4nted'] }, { baseUrl, authtoken: 'pl4nted' },
    { url: 'http://pl4nted@host' },
    { baseUrl: 'ftp://user:pl4nted@host/' }, { baseUrl: 'http://user:pl4nted@host:port/' }, { baseUrl: 'http://user:pl4nted@host/?a' },
    { baseUrl: 'user:pl4nted@host' }, { baseUrl: { url: 'http://pl4nted@host' } },
    { baseUrl: 'http://user:pl4nted@host', authToken: 'pl4nted' }
  ]) await keep(() => open(options))

  const service = await stub(t, (response, { headers }, number) => {
    const echo = JSON.stringify(headers)
    if (number % 3 === 0) response.writeHead(500).end(echo)
    else if (number % 3 === 1) response.writeHead(302, { location: `http://pl4nted@${echo.length}.invalid/` }).end(echo)
    else response.socket!.end(`HTTP/1.1 200 pl4nted\r\nx: ${headers.authorization}\r\n\x01\r\n`)
  })
  const nobody = await listen(t, createServer((socket) => socket.destroy()))
  for (const options of [
    { baseUrl: service.baseUrl, authToken: 'pl4nted' }, { baseUrl: `http://user:pl4nted@127.0.0.1:${nobody}` },
    { baseUrl: 'http://user:pl4nted@127.0.0.1:1' }, { baseUrl: 'http://nobody.invalid', authToken: 'pl4nted' }
  ]) {
    const backend = await openHttp(t, { ...options, maxRetries: 0 })
    for (let time = 0; time < 3; time++) {
      await keep(() => backend.get('a'))
      await keep(() => backend.set('a', entry('pl4nted')))
      await keep(() => backend.delete('a'))
    }
    shown.push(inspect(backend, { depth: 9, showHidden: true }), JSON.stringify(backend), String(backend))
  }

  const app = Fastify({ logger: { level: 'trace', stream: { write: (line: string) => { shown.push(line) } } } })
  await app.register(plugin, { backend: 'http', options: { baseUrl: service.baseUrl, authToken: 'pl4nted' }, deadline: '5s' })
  app.get('/', { config: { cache: { ttl: '1m' } } }, async () => 'pl4nted')
  for (let time = 0; time < 3; time++) t.equal((await app.inject('/')).body, 'pl4nted')
  await app.close()
  t.ok(shown.some((text) => text.includes('cache: get failed')), 'something was logged')
  t.same(shown.filter((text) => secrets.test(text)), [])
})

t.test('http: if undici is not installed, the error says so', async (t) => {
  const cause = Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
  await t.rejects(loadDriver(() => Promise.reject(cause)), {
    code: 'CACHE_ERR_DEPENDENCY_MISSING', message: "cache: backend 'http' needs the package 'undici'; run npm install undici", cause
  })
})

t.test('http: a driver\'s error message that contains a secret is redacted, and its error is not passed on', async (t) => {
  const wire = new ServiceConnection(readOptions({ baseUrl: 'http://user:pl%34nted@host' }), await loadDriver())
  t.teardown(() => wire.close())
  const driver = Object.assign(new Error('refused http://user:pl4nted@host, pl%34nted, Basic dXNlcjpwbDRudGVk'), {
    code: 'E_ANY', headers: { authorization: 'pl4nted' }
  })
  const { message, shown } = await failureOf(() => { throw wire.failure('get', driver) })
  t.match(message, 'refused http://user:***@host, ***, Basic ***')
  t.match(shown, 'E_ANY')
  t.notMatch(shown, /pl4nted|pl%34nted|dXNlcjpwbDRudGVk/)
})

t.test('http: close ends pending reads, writes and retries at once', async (t) => {
  const hangs = await stub(t, () => {})
  const fails = await stub(t, (response) => response.writeHead(503, { 'retry-after': '20' }).end())
  const waiting = await openHttp(t, { baseUrl: hangs.baseUrl, timeout: '60s', maxConnections: 2 })
  const retrying = await openHttp(t, { baseUrl: fails.baseUrl, timeout: '60s' })
  const unreachable = await openHttp(t, { baseUrl: 'http://192.0.2.1', timeout: '60s' })
  const failures = [waiting, unreachable].flatMap((backend) => [
    ...Array.from({ length: 5 }, (_, at) => failureOf(() => backend.get(String(at)))),
    failureOf(() => backend.set('a', entry('v'))), failureOf(() => backend.delete('a'))
  ])
  const retried = failureOf(() => retrying.set('a', entry('v')))
  while (fails.seen.length === 0) await new Promise(setImmediate)
  const began = performance.now()
  await Promise.all([waiting, retrying, unreachable].map((backend) => backend.close()))
  for (const { code } of await Promise.all([...failures, retried])) t.match(code, /CACHE_ERR_(CLOSED|BACKEND_FAILED)/)
  t.equal((await retried).code, 'CACHE_ERR_CLOSED')
  t.ok(performance.now() - began < 5_000)
  t.equal(fails.seen.length, 1)
})

t.test('http: close may be called twice, and every later call fails with CACHE_ERR_CLOSED', async (t) => {
  const backend = await (await serve(t)).open()
  await backend.set('key', entry('value'))
  await Promise.all([backend.close(), backend.close()])
  await backend.close()
  const calls = { get: () => backend.get('key'), set: () => backend.set('key', entry('v')), delete: () => backend.delete('key') }
  for (const [name, call] of Object.entries(calls)) t.match(await failureOf(call), { code: 'CACHE_ERR_CLOSED', message: `http.${name}` })
})

t.test('http: a process that closed the backend has nothing open and ends by itself', async (t) => {
  const service = await stub(t, (response, { method }) => response.writeHead(method === 'PUT' ? 204 : 404).end())
  const { exitCode, stdout, stderr } = await runChild('support/children/http.js', {
    args: [service.baseUrl, 'use and close'], timeoutMs: 30_000
  })
  t.same([exitCode, stdout, stderr], [0, '\n', ''])
})

t.test('http: idle connections and a change that waits for a retry do not keep a process alive', async (t) => {
  for (const [way, status] of [['use and leave', 204], ['leave a retry', 503]] as const) {
    const service = await stub(t, (response, { method }) =>
      response.writeHead(method === 'PUT' ? status : 404, { 'keep-alive': 'timeout=600', 'retry-after': '50' }).end())
    const { exitCode, signal, stderr } = await runChild('support/children/http.js', { args: [service.baseUrl, way], timeoutMs: 30_000 })
    t.same([exitCode, signal, stderr], [0, null, ''], way)
  }
})

t.test('http: connections are reused, also after misses and refusals, and there are at most maxConnections', async (t) => {
  const service = await serve(t)
  const sockets = new Set<unknown>()
  service.app.server.on('connection', (socket) => sockets.add(socket))
  const backend = await service.open({ maxConnections: 3 })
  for (let at = 0; at < 20; at++) {
    await backend.set('a', entry(String(at)))
    t.equal(await textAt(backend, 'a'), String(at))
    await backend.get('nothing')
  }
  t.ok(sockets.size <= 2, `${sockets.size} connections for 60 calls, one after the other`)
  await Promise.all(Array.from({ length: 50 }, (_, at) => backend.get(String(at))))
  t.equal(sockets.size, 3)
})
