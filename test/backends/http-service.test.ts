// The cache service of the examples: what it refuses, its conformance on memory and on SQLite, and its program.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { Order } from '../../examples/cache-service/order.js'
import { cacheService } from '../../examples/cache-service/service.js'
import { readSettings } from '../../examples/cache-service/settings.js'
import { sealed } from '../../backends/http/codec.js'
import { nameOf, storedKey } from '../../registry/codec.js'
import { until } from '../support/barrier.js'
import { Chaos } from '../support/chaos.js'
import { testClock } from '../support/clock.js'
import { conformance } from '../kit/index.js'
import { conforms } from '../support/conformance.js'
import { textAt } from '../support/entries.js'
import { entry, failureOf, NEVER_AT, openHttp, serve, TOKEN } from '../support/http.js'
import { mapBackend } from '../support/map-backend.js'
import { someOf } from '../support/size.js'
import { root } from '../support/sources.js'
import type { BackendChoice } from '../../registry/names.js'
import { newFolder } from '../support/folder.js'

const SERVER = join(root, 'dist', 'examples', 'cache-service', 'server.js')

let files = 0

for (const name of ['memory', 'sqlite'] as const) {
  t.test(`http conforms, with ${name} behind the service`, async (t) => {
    const folder = newFolder(t)
    const clock = testClock()
    const behind = (): BackendChoice =>
      name === 'memory' ? { backend: name } : { backend: name, options: { path: join(folder, `${files++}.db`) } }
    await conforms(t, { ...clock, open: async () => (await serve(t, { behind: behind(), now: clock.now })).open() },
      name === 'memory' ? conformance : someOf(conformance))
  })
}

const DIGEST = nameOf(storedKey('key'))
const PATH = `/cache/${DIGEST}`
const authorized = { authorization: `Bearer ${TOKEN}` }
const put = { ...authorized, 'cache-expires-at': String(NEVER_AT) }

t.test('cache service: without the token no request reveals, changes or reads anything', async (t) => {
  const { app, backend } = await serve(t)
  await backend.set(DIGEST, entry('secret'))
  const wrong = [
    undefined, '', 'Bearer', 'Bearer ', `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(1)}`, `bearer  ${TOKEN}`, TOKEN,
    `Basic ${Buffer.from(`user:${TOKEN}`).toString('base64')}`, 'Bearer ä'
  ]
  for (const authorization of wrong) {
    const headers = { 'cache-expires-at': String(NEVER_AT), ...(authorization !== undefined && { authorization }) }
    for (const [method, url] of [
      ['GET', PATH], ['PUT', PATH], ['DELETE', PATH], ['GET', '/'], ['GET', '/cache/nonsense'], ['PUT', '/nonsense']
    ] as const) {
      const { statusCode, body, headers: { 'www-authenticate': scheme } } = await app.inject({
        method, url, headers, ...(method === 'PUT' && { payload: 'x' })
      })
      t.equal(statusCode, 401, `${method} ${url} with ${authorization}`)
      t.equal(scheme, 'Bearer')
      t.notMatch(body, 'secret')
    }
  }
  t.equal(await textAt(backend, DIGEST), 'secret')
})

t.test('cache service: an entry is put, got and deleted as bytes, and responses have no-store', async (t) => {
  const { app } = await serve(t)
  t.equal((await app.inject({ url: PATH, headers: authorized })).statusCode, 404)
  for (const payload of [Buffer.of(0, 255, 10), Buffer.from('{"__proto__":1}')]) {
    for (const type of ['application/octet-stream', 'application/json', 'text/plain', undefined]) {
      t.equal((await app.inject({
        method: 'PUT', url: PATH, payload, headers: { ...put, ...(type !== undefined && { 'content-type': type }) }
      })).statusCode, 204)
      const { statusCode, headers, rawPayload } = await app.inject({ url: PATH, headers: authorized })
      t.same([statusCode, headers['cache-expires-at'], headers['content-type'], headers['cache-control']], [
        200, String(NEVER_AT), 'application/octet-stream', 'no-store'
      ])
      t.same(rawPayload, payload)
    }
  }
  t.equal((await app.inject({ method: 'DELETE', url: PATH, headers: authorized })).statusCode, 204)
  t.equal((await app.inject({ method: 'DELETE', url: PATH, headers: authorized })).statusCode, 204)
  t.equal((await app.inject({ url: PATH, headers: authorized })).statusCode, 404)
})

t.test('cache service: a key that is not a digest and an invalid expiry are refused', async (t) => {
  const { app, backend } = await serve(t)
  for (const key of [
    'a', DIGEST.toUpperCase(), `${DIGEST}0`, DIGEST.slice(1), `${DIGEST.slice(1)}%2F`, '..%2F..%2Fetc%2Fpasswd', `${DIGEST}%00`
  ]) {
    for (const method of ['GET', 'PUT', 'DELETE'] as const) {
      t.ok([400, 404].includes((await app.inject({
        method, url: `/cache/${key}`, headers: put, ...(method === 'PUT' && { payload: 'x' })
      })).statusCode), `${method} ${key}`)
    }
  }
  for (const instant of [undefined, '', 'soon', '-1', '1e5', '1.5', '99999999999999999', '9007199254740993']) {
    const { 'cache-expires-at': _, ...headers } = put
    t.equal((await app.inject({
      method: 'PUT', url: PATH, payload: 'x', headers: { ...headers, ...(instant !== undefined && { 'cache-expires-at': instant }) }
    })).statusCode, 400, String(instant))
  }
  t.equal(await backend.get(DIGEST), undefined)
  t.same(await backend.keys?.(), [])
})

t.test('cache service: a body above the limit is refused, and the sender receives 413', async (t) => {
  const { app, open } = await serve(t, { maxBodyBytes: 1_000 })
  t.equal((await app.inject({ method: 'PUT', url: PATH, payload: 'x'.repeat(1_001), headers: put })).statusCode, 413)
  const backend = await open()
  t.equal((await failureOf(() => backend.set('key', entry('x'.repeat(2_000))))).code, 'CACHE_ERR_BACKEND_FAILED')
  await backend.set('key', entry('x'.repeat(900)))
  t.equal((await textAt(backend, 'key'))?.length, 900)
})

t.test('cache service: with a wrong token every call is an error and not a miss', async (t) => {
  const { open } = await serve(t)
  const backend = await open({ authToken: 'a-token-of-somebody-else' })
  for (const call of [() => backend.get('a'), () => backend.set('a', entry('v')), () => backend.delete('a')]) {
    t.match(await failureOf(call), { code: 'CACHE_ERR_BACKEND_FAILED', message: 'responded with 401' })
  }
})

t.test('cache service: a late change does not undo a later one of the same writer', async (t) => {
  const { app, backend } = await serve(t)
  const change = async (method: 'PUT' | 'DELETE', from: string | undefined, payload?: string) => (await app.inject({
    method, url: PATH, headers: { ...put, ...(from !== undefined && { 'cache-change': from }) }, ...(payload !== undefined && { payload })
  })).statusCode
  t.equal(await change('PUT', 'me/7', 'first'), 204)
  t.equal(await change('DELETE', 'me/9'), 204)
  t.equal(await change('PUT', 'me/8', 'late'), 409)
  t.equal(await backend.get(DIGEST), undefined)
  t.equal(await change('PUT', 'you/1', 'of another'), 204)
  for (const unreadable of [undefined, 'me', 'me/x', '/5', 'me/1/2']) t.equal(await change('PUT', unreadable, 'any'), 204)
})

t.test('cache service: a late change is refused even if another writer has changed the entry since', async (t) => {
  const { app, backend } = await serve(t)
  const change = async (method: 'PUT' | 'DELETE', from: string, payload?: string) => (await app.inject({
    method, url: PATH, headers: { ...put, 'cache-change': from }, ...(payload !== undefined && { payload })
  })).statusCode
  t.equal(await change('DELETE', 'a/2'), 204)
  t.equal(await change('PUT', 'b/1', 'of another'), 204)
  t.equal(await change('PUT', 'a/1', 'late'), 409)
  t.equal((await app.inject({ url: PATH, headers: authorized })).body, 'of another')
  t.equal(await change('PUT', 'a/3', 'next'), 204)
  t.equal(await change('DELETE', 'b/1'), 204, 'the same change again')
  t.equal(await backend.get(DIGEST), undefined)
})

t.test('cache service: if a change is no longer remembered, one that may be earlier is refused', async (t) => {
  const order = new Order(2)
  for (const [digest, change] of [['x', 'a/1'], ['x', 'b/1'], ['y', 'a/2'], ['z', 'a/5'], ['w', 'a/6'], ['v', 'a/7']]) {
    t.ok(order.admits(digest as string, change), change as string)
  }
  t.notOk(order.admits('y', 'a/1'), 'earlier than a change that is not remembered')
  t.notOk(order.admits('z', 'a/4'))
  t.ok(order.admits('u', 'a/8'))
  t.ok(order.admits('x', 'b/2'))
  t.ok(order.admits('x', 'c/1'), 'a writer that is new')
})

t.test('cache service: a backend that fails becomes a 500 without its error message, and the client retries a change', async (t) => {
  const chaos = new Chaos()
  const app = cacheService({ backend: chaos.wrap(mapBackend(Date.now)), token: TOKEN, maxBodyBytes: 1_000 })
  t.teardown(() => app.close())
  const backend = await openHttp(t, { baseUrl: await app.listen({ port: 0 }), authToken: TOKEN })
  chaos.get.reject(new Error('pl4nted'))
  const failure = await app.inject({ url: PATH, headers: authorized })
  t.same([failure.statusCode, failure.json()], [500, { error: 'the backend failed' }])
  t.match(await failureOf(() => backend.get('key')), { message: 'responded with 500' })
  chaos.get.heal()
  for (const change of ['set', 'delete'] as const) {
    chaos[change].throw()
    const settled = change === 'set' ? backend.set('key', entry('value')) : backend.delete('key')
    await until(() => chaos[change].calls.length === 1)
    chaos[change].heal()
    await settled
    t.equal(chaos[change].calls.length, 2)
    t.equal(await textAt(backend, 'key'), change === 'set' ? 'value' : undefined)
  }
})

t.test('cache service: bytes that another program put under a digest are not an entry', async (t) => {
  const { backend, open } = await serve(t)
  const http = await open()
  await backend.set(DIGEST, entry('anything'))
  t.match(await failureOf(() => http.get('key')), { message: 'something other than what was asked for' })
  await backend.set(DIGEST, { value: sealed(Buffer.from('mine'), DIGEST), expiresAt: NEVER_AT })
  t.equal(await textAt(http, 'key'), 'mine')
})

function start (env: Record<string, string>) {
  const child = spawn(process.execPath, [SERVER], { env: { PATH: process.env.PATH, PORT: '0', ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  let errors = ''
  let seen = (): void => {}
  child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text; seen() })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { errors += text })
  const ended = new Promise<{ exitCode: number | null, output: string, errors: string }>((resolve) =>
    child.on('close', (exitCode) => resolve({ exitCode, output, errors })))
  const listening = Promise.race([
    ended, new Promise<void>((resolve) => { seen = () => { if (output.includes('until Ctrl-C')) resolve() } })
  ])
  return { child, ended, url: async () => { await listening; return /at (http:\S+)/.exec(output)?.[1] ?? errors } }
}

t.test('cache service: its program serves a SQLite file that is kept after it ends, and ends on a signal', async (t) => {
  const env = { CACHE_HTTP_TOKEN: TOKEN, CACHE_OPTIONS: JSON.stringify({ path: join(newFolder(t), 'shared.db') }) }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const { child, ended, url } = start(env)
    const backend = await openHttp(t, { baseUrl: await url(), authToken: TOKEN })
    t.equal(await textAt(backend, 'key'), signal === 'SIGINT' ? undefined : 'value')
    await backend.set('key', entry('value'))
    child.kill(signal)
    const { exitCode, output, errors } = await ended
    t.same([exitCode, errors], [0, ''])
    t.match(output, `${signal}: closed.`)
    t.notMatch(output, TOKEN)
  }
})

t.test('cache service: its program refuses to start without a token or with invalid settings, in one sentence', async (t) => {
  const token = { CACHE_HTTP_TOKEN: TOKEN }
  const settings: ReadonlyArray<readonly [env: Record<string, string>, sentence: RegExp]> = [
    [{ CACHE_HTTP_TOKEN: '' }, /^CACHE_HTTP_TOKEN is missing/],
    [{ CACHE_HTTP_TOKEN: 'short' }, /^CACHE_HTTP_TOKEN must have at least 16 /],
    [{ CACHE_HTTP_TOKEN: 'pl4nted with a space' }, /^CACHE_HTTP_TOKEN must have at least 16 /],
    [{ ...token, CACHE_OPTIONS: 'pl4nted' }, /^CACHE_OPTIONS must be a JSON object/],
    [{ ...token, CACHE_OPTIONS: '[]' }, /^CACHE_OPTIONS must be a JSON object/],
    [{ ...token, PORT: '70000' }, /^PORT must be a number from 0 to 65535/],
    [{ ...token, CACHE_MAX_VALUE_BYTES: '64mb' }, /^CACHE_MAX_VALUE_BYTES must be a number/]
  ]
  for (const [env, sentence] of settings) {
    const { message } = await failureOf(() => readSettings(env))
    t.match(message, sentence)
    t.notMatch(message, 'pl4nted')
  }
  const programs: ReadonlyArray<readonly [env: Record<string, string>, sentence: RegExp]> = [
    [{}, /^CACHE_HTTP_TOKEN is missing.*\n$/],
    [{ ...token, CACHE_BACKEND: 'dynamo' }, /^cache: no backend is registered under the name 'dynamo'.*\n$/],
    [{ ...token, CACHE_BACKEND: 'memory', HOST: '192.0.2.1' }, /^Can't listen at 192\.0\.2\.1.*\n$/]
  ]
  for (const [env, sentence] of programs) {
    const { exitCode, errors } = await start(env).ended
    t.equal(exitCode, 1)
    t.match(errors, sentence)
  }
})
