// Other caches in front of the plugin: nginx and Varnish serve ranges of its responses.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request, type IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import t, { type Test } from 'tap'
import { build, forEachBackend, type TestApp } from '../../support/app.js'
import { portOf } from '../../support/client.js'
import { cached } from '../../support/document.js'
import { needs } from '../../support/programs.js'
import { startNginx, startVarnish, type Proxy } from '../../support/proxies.js'

const MIB = 1024 * 1024

/** Three MiB in which no two parts are alike. */
const fileOf = (version: number): Buffer => {
  const bytes = Buffer.alloc(3 * MIB)
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32BE(at * 31 + version, at)
  return bytes
}
const FILE = fileOf(1)
const sumOf = (bytes: Buffer): string => `${bytes.length} bytes, ${createHash('sha1').update(bytes).digest('hex')}`

interface Files {
  app: TestApp
  port: number
  /** The Range fields that reached the application. */
  asked: Array<string | undefined>
  /** Makes the file another version from now on. */
  change: () => void
}

async function files (t: Test, on: { backend: string, options: object }, onRequest?: (files: Files) => unknown): Promise<Files> {
  const asked: Files['asked'] = []
  let version = 1
  const options = cached({ maxBodyBytes: 4 * MIB })
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app: FastifyInstance) {
      app.addHook('onRequest', async (request) => {
        asked.push(request.headers.range)
        await onRequest?.(all)
      })
      const pieces = function * (file: Buffer): Generator<Buffer> {
        for (let at = 0; at < file.length; at += 100_000) yield file.subarray(at, at + 100_000)
      }
      const head = (reply: FastifyReply): FastifyReply =>
        reply.headers({ etag: `"${version}"`, 'cache-control': 'max-age=60' }).type('application/octet-stream')
      app.get('/file', options, async (_request, reply) => await head(reply).send(fileOf(version)))
      app.get('/stream', options, async (_request, reply) =>
        await head(reply).header('content-length', FILE.length).send(Readable.from(pieces(fileOf(version)))))
      app.get('/chunked', options, async (_request, reply) => await head(reply).send(Readable.from(pieces(fileOf(version)))))
    }
  })
  const all: Files = { app, port: await portOf(app.app), asked, change: () => { version++ } }
  return all
}

/** The response of a proxy, also one that breaks off. */
async function get (
  proxy: Proxy, path: string, headers: Record<string, string> = {}
): Promise<{ status: number, headers: IncomingHttpHeaders, body: Buffer, sum: string, whole: boolean }> {
  const [response] = await once(request(`${proxy.origin}${path}`, { headers, agent: false }).end(), 'response')
  const chunks: Buffer[] = []
  response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {})
  await new Promise((resolve) => response.on('close', resolve))
  const body = Buffer.concat(chunks)
  return { status: response.statusCode, headers: response.headers, body, sum: sumOf(body), whole: response.complete }
}

// A request for a file that nginx is still storing waits for it.
const CACHED_BY_NGINX = 'proxy_cache stored; proxy_cache_lock on; proxy_cache_valid 200 206 1m;'
const SLICES = 'slice 1m; proxy_cache_key $uri$slice_range; proxy_set_header Range $slice_range;'

t.test('nginx with proxy_cache serves the requested range, of a response that it is storing and of one that it has stored', needs('nginx'),
  async (t) => forEachBackend(t, async (t, on) => {
    const { port, asked, app } = await files(t, on)
    const nginx = await startNginx(t, port, CACHED_BY_NGINX)
    for (const path of ['/file', '/stream']) {
      for (let times = 0; times < 2; times++) {
        t.match(await get(nginx, path, { range: 'bytes=100-109' }), {
          status: 206, sum: sumOf(FILE.subarray(100, 110)), headers: { 'content-range': `bytes 100-109/${FILE.length}` }
        }, path)
      }
      t.equal((await get(nginx, path)).sum, sumOf(FILE))
    }
    t.same(asked, [undefined, undefined], 'nginx requests the whole, once')
    // The plugin has stored it, nginx has not yet.
    const other = await startNginx(t, port, CACHED_BY_NGINX)
    for (const path of ['/file', '/stream']) {
      t.match(await get(other, path, { range: 'bytes=-10' }), { status: 206, sum: sumOf(FILE.subarray(-10)) }, path)
    }
    t.match(await app.cache.stats(), { stores: 2, hits: 2 })
  }))

t.test('nginx that passes ranges on receives the part, on a miss and on a hit', needs('nginx'), async (t) =>
  forEachBackend(t, async (t, on) => {
    const { port, app } = await files(t, on)
    const nginx = await startNginx(t, port, '')
    for (const path of ['/file', '/chunked']) {
      for (let times = 0; times < 2; times++) {
        t.match(await get(nginx, path, { range: 'bytes=100-109' }), { status: 206, sum: sumOf(FILE.subarray(100, 110)) }, path)
      }
    }
    t.match(await app.cache.stats(), { stores: 2, hits: 2 })
  }))

/** What nginx stores of slices, the path of the download, and whether the plugin has it stored before it is invalidated. */
const SLICED: ReadonlyArray<readonly [storing: string, path: string, isWarm: boolean]> = [
  ['', '/file', false], ['', '/file', true], ['', '/chunked', true], [CACHED_BY_NGINX, '/file', true], [CACHED_BY_NGINX, '/chunked', false]
]

t.test('nginx with its slice module downloads the whole, also if it is invalidated between two slices', needs('nginx'), async (t) =>
  forEachBackend(t, async (t, on) => {
    let path = ''
    const { app, port, asked } = await files(t, on, async ({ app, asked }) => {
      if (asked.length > 1) await app.cache.invalidate({ url: path })
    })
    for (const [storing, url, isWarm] of SLICED) {
      path = url
      const about = `${url}, ${isWarm ? 'stored' : 'not stored'}, ${storing}`
      await app.cache.invalidate({ url })
      if (isWarm) await app.ask({ url, headers: { host: `127.0.0.1:${port}` } })
      asked.length = 0
      const nginx = await startNginx(t, port, `${SLICES}${storing}`)
      t.match(await get(nginx, url), { status: 200, sum: sumOf(FILE), whole: true }, about)
      t.same(asked, [0, 1, 2].map((at) => `bytes=${at * MIB}-${(at + 1) * MIB - 1}`), about)
      t.match(await get(nginx, url, { range: `bytes=${MIB - 5}-${MIB + 4}` }), {
        status: 206, sum: sumOf(FILE.subarray(MIB - 5, MIB + 5))
      }, about)
      t.notMatch(nginx.errors, /slice response|\[error\]/, about)
    }
  }))

t.test('a file that changes between two slices breaks the download off, and the next one is whole', needs('nginx'), async (t) =>
  forEachBackend(t, async (t, on) => {
    let isChanged = false
    const { port } = await files(t, on, async ({ app, asked, change }) => {
      if (isChanged || asked.length < 3) return
      isChanged = true
      change()
      await app.cache.invalidate({ url: '/file' })
    })
    const nginx = await startNginx(t, port, SLICES)
    const broken = await get(nginx, '/file')
    t.equal(broken.whole, false)
    t.ok(FILE.subarray(0, broken.body.length).equals(broken.body), 'everything received is of one version')
    t.match(nginx.errors, /etag mismatch in slice response/)
    t.match(await get(nginx, '/file'), { status: 200, sum: sumOf(fileOf(2)), whole: true })
  }))

t.test('Varnish serves ranges of a response that it is about to store, and receives them if it passes the request on', needs('varnishd'),
  async (t) => forEachBackend(t, async (t, on) => {
    const { port, asked } = await files(t, on)
    const varnish = await startVarnish(t, port, 'sub vcl_recv { if (req.http.x-pass) { return (pass); } return (hash); }')
    for (const path of ['/file', '/chunked']) {
      for (let times = 0; times < 2; times++) {
        t.match(await get(varnish, path, { range: 'bytes=100-109', 'x-pass': '1' }), {
          status: 206, sum: sumOf(FILE.subarray(100, 110)), headers: { 'content-range': `bytes 100-109/${FILE.length}` }
        }, path)
      }
      for (let times = 0; times < 2; times++) {
        t.match(await get(varnish, path, { range: 'bytes=100-109' }), { status: 206, sum: sumOf(FILE.subarray(100, 110)) }, path)
      }
      t.match(await get(varnish, path), { status: 200, sum: sumOf(FILE), whole: true })
    }
    t.same(asked, ['bytes=100-109', 'bytes=100-109', undefined, 'bytes=100-109', 'bytes=100-109', undefined])
  }))
