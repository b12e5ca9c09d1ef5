// What @fastify/reply-from and @fastify/http-proxy forward is the same with the cache and without it, over real sockets.
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import httpProxy from '@fastify/http-proxy'
import replyFrom from '@fastify/reply-from'
import t, { type Test } from 'tap'
import { forEachBackend } from '../../support/app.js'
import { testClock, type TestClock } from '../../support/clock.js'
import { CHANGED, compared, EACH, PAGE, VALIDATED, type Setup } from '../../support/compared.js'
import { inTurn } from '../../support/size.js'

/** An upstream server. The path names the status, the query the special features of the response. */
async function upstream (t: Test, clock: TestClock): Promise<string> {
  const server = http.createServer((request, response) => {
    const { pathname, searchParams: says } = new URL(request.url as string, 'http://upstream')
    const status = Number(pathname.slice(1))
    response.setHeader('date', new Date(clock.now()).toUTCString()).setHeader('connection', 'close')
    if (says.has('control')) response.setHeader('cache-control', says.get('control') as string)
    if (status === 301) response.setHeader('location', '/there')
    if (status !== 200) return response.writeHead(status, { 'content-type': 'text/plain' }).end(`status ${status}`)
    response.setHeader('etag', '"1"').setHeader('last-modified', CHANGED)
    if (says.has('encoded')) response.setHeader('vary', 'accept-encoding')
    const { 'if-none-match': etag, 'if-modified-since': since, 'accept-encoding': accepted, range } = request.headers
    if (etag === undefined ? since === CHANGED : etag === '"1"') return response.writeHead(304).end()
    const isEncoded = says.has('encoded') && accepted === 'gzip'
    const body = isEncoded ? gzipSync(PAGE) : Buffer.from(says.has('empty') ? '' : PAGE)
    if (isEncoded) response.setHeader('content-encoding', 'gzip')
    if (!says.has('untyped')) response.setHeader('content-type', 'text/html')
    if (range === 'bytes=0-3' && request.method === 'GET' && body.byteLength > 0) {
      return response.writeHead(206, { 'content-range': `bytes 0-3/${body.byteLength}` }).end(body.subarray(0, 4))
    }
    if (!says.has('chunked')) response.setHeader('content-length', body.byteLength)
    response.writeHead(200).write(body)
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** By default, a request that gets a 503 is repeated ten times. */
const ONCE = { retryDelay: () => null }

const forwarding = (base: string): Record<string, Setup> => ({
  '@fastify/reply-from': {
    async routes (app, cache) {
      await app.register(replyFrom, { base })
      app.get('/*', { config: { cache } }, (request, reply) => reply.from(request.raw.url, ONCE))
    }
  },
  '@fastify/http-proxy': {
    routes: async (app, cache) => await app.register(httpProxy, { upstream: base, config: { cache }, replyOptions: ONCE })
  }
})

/** In reduced size, each plugin runs once. */
const PAIRS = EACH.flatMap((each) => inTurn(Object.keys(forwarding(''))).map((name) => [...each, name] as const))

for (const [where, cache, via, name] of PAIRS) {
  t.test(`${where}: responses forwarded by ${name}`, async (t) => forEachBackend(t, async (t, on) => {
    const controls = ['no-cache', 'max-age=90', 'max-age=0', 'max-age=0&chunked', 'max-age=0&encoded', 'max-age=0&empty']
    const errors = [301, 404, 500, 503].flatMap((status) => [`/${status}`, `/${status}?control=max-age=90`])
    const urls = [...controls.map((control) => `/200?control=${control}`), ...errors]
    const clock = testClock(Date.now())
    const setup = forwarding(await upstream(t, clock))[name] as Setup
    const seen = await compared(t, on, { setup, cache, clock, urls, via })
    for (const one of [...VALIDATED, 'GET 200 hit', 'GET 301 hit', 'GET 404 hit', 'GET 500 hit', 'GET 503 hit']) t.ok(seen.has(one), one)
  }))
}
