// Clients that request ranges on their first visit: curl, Wget, aria2 and the audio element of Chromium.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import t, { type Test } from 'tap'
import { build, forEachBackend, type TestApp } from '../../support/app.js'
import { Barrier } from '../../support/barrier.js'
import { portOf } from '../../support/client.js'
import { cached } from '../../support/document.js'
import { env, needs, ran } from '../../support/programs.js'

const MIB = 1024 * 1024
const FILE = Buffer.alloc(5 * MIB)
for (let at = 0; at < FILE.length; at += 4) FILE.writeUInt32BE(at * 31, at)
const sumOf = (bytes: Buffer): string => `${bytes.length} bytes, ${createHash('sha1').update(bytes).digest('hex')}`

const PAYLOADS: Record<string, (reply: FastifyReply) => unknown> = {
  buffer: () => FILE,
  stream: (reply) => { reply.header('content-length', FILE.length); return Readable.from(pieces()) },
  chunked: () => Readable.from(pieces())
}

function * pieces (): Generator<Buffer> { for (let at = 0; at < FILE.length; at += 100_000) yield FILE.subarray(at, at + 100_000) }

/** The file at `/kind/name`, and the Range fields of the requests. With `clears`, its response is invalidated before each request. */
async function files (
  t: Test, on: { backend: string, options: object }, { clears = false } = {}
): Promise<{ app: TestApp, origin: string, asked: Array<string | undefined> }> {
  const asked: Array<string | undefined> = []
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app: FastifyInstance) {
      app.addHook('onRequest', async (request) => {
        asked.push(request.headers.range)
        if (clears) await all.app.cache.invalidate({ url: request.url })
      })
      for (const [kind, payload] of Object.entries(PAYLOADS)) {
        app.get(`/${kind}/:name`, cached({ maxBodyBytes: 8 * MIB }), async (_request, reply) =>
          await reply.header('etag', '"1"').type('application/octet-stream').send(payload(reply)))
      }
    }
  })
  const all = { app, origin: `http://127.0.0.1:${await portOf(app.app)}`, asked }
  return all
}

function folder (t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'ranges-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
  return path
}

t.test('curl -r receives the part on its first visit and on the next', needs('curl'), async (t) => forEachBackend(t, async (t, on) => {
  const { origin } = await files(t, on)
  for (const kind of Object.keys(PAYLOADS)) {
    for (let times = 0; times < 2; times++) {
      const { stdout, code } = await ran('curl', [
        '-sS', '-r', '100-109', '-w', '|%{http_code}|%header{content-range}', `${origin}/${kind}/file`
      ])
      t.equal(code, 0)
      t.equal(sumOf(stdout), sumOf(Buffer.concat([FILE.subarray(100, 110), Buffer.from(`|206|bytes 100-109/${FILE.length}`)])), kind)
    }
  }
}))

t.test('wget -c fetches the rest of a file that broke off, and nothing else', needs('wget'), async (t) =>
  forEachBackend(t, async (t, on) => {
    const { origin, asked, app } = await files(t, on)
    for (const kind of Object.keys(PAYLOADS)) {
      const cwd = folder(t)
      writeFileSync(join(cwd, 'file'), FILE.subarray(0, 2 * MIB))
      const { code, stderr } = await ran('wget', ['-c', '--no-proxy', '--tries=1', `${origin}/${kind}/file`], { cwd })
      t.equal(code, 0)
      t.match(stderr, /206 Partial Content/, kind)
      t.equal(sumOf(readFileSync(join(cwd, 'file'))), sumOf(FILE), kind)
    }
    t.same(asked, Object.keys(PAYLOADS).map(() => `bytes=${2 * MIB}-`))
    t.match(await app.cache.stats(), { stores: 3, misses: 3 })
  }))

t.test('aria2c -x4 downloads over four connections, also if each of them is a miss', needs('aria2c'), async (t) =>
  forEachBackend(t, async (t, on) => {
    for (const clears of [false, true]) {
      const {
        origin, asked
      } = await files(t, { ...on, ...(on.backend === 'sqlite' && { options: { path: join(folder(t), 'cache.db') } }) }, { clears })
      for (const kind of ['buffer', 'stream']) {
        const cwd = folder(t)
        const { code, stdout } = await ran('aria2c', [
          '-x4', '-s4', '--min-split-size=1M', '--file-allocation=none', '--max-tries=1', '--console-log-level=warn', '--no-conf', '-d',
          cwd, `${origin}/${kind}/file`
        ])
        t.equal(code, 0, kind)
        t.notMatch(stdout.toString(), /Invalid range|\[ERROR\]/, kind)
        t.equal(sumOf(readFileSync(join(cwd, 'file'))), sumOf(FILE), kind)
      }
      t.ok(asked.filter((range) => range !== undefined).length >= 2, asked.join())
    }
  }))

/** Half a minute of silence. */
function wav (): Buffer {
  const [rate, seconds] = [44_100, 30]
  const head = Buffer.alloc(44)
  head.write('RIFF')
  head.writeUInt32LE(36 + rate * seconds * 2, 4)
  head.write('WAVEfmt ', 8)
  head.writeUInt32LE(16, 16)
  for (const [at, value] of [[20, 1], [22, 1], [32, 2], [34, 16]] as const) head.writeUInt16LE(value, at)
  head.writeUInt32LE(rate, 24)
  head.writeUInt32LE(rate * 2, 28)
  head.write('data', 36)
  head.writeUInt32LE(rate * seconds * 2, 40)
  return Buffer.concat([head, Buffer.alloc(rate * seconds * 2)])
}

const PAGE = (url: string): string => `<!doctype html><audio preload="auto" src="${url}"></audio><script>
  const audio = document.querySelector('audio')
  const report = (at) => fetch('/report', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ at, seekable: audio.seekable.length && audio.seekable.end(0), error: audio.error && audio.error.message }) })
  audio.addEventListener('seeked', () => report(audio.currentTime))
  audio.addEventListener('error', () => report(-1))
  audio.addEventListener('loadedmetadata', () => { if (audio.seekable.length && audio.seekable.end(0) > 20) audio.currentTime = 20; else report(0) })
</script>`

t.test('the audio element of Chromium can seek on the first visit', needs('chromium'), async (t) => forEachBackend(t, async (t, on) => {
  const sound = wav()
  for (const kind of ['buffer', 'stream']) {
    const reports: unknown[] = []
    const asked: unknown[] = []
    const reported = new Barrier()
    const app = await build(t, {
      ...on,
      namespace: kind,
      compare: false,
      routes (app) {
        app.get('/', async (_request, reply) => await reply.type('text/html').send(PAGE('/sound.wav')))
        app.addHook('onRequest', async (request) => { if (request.url === '/sound.wav') asked.push(request.headers.range) })
        app.get('/sound.wav', cached({ maxBodyBytes: 8 * MIB }), async (_request, reply) => await reply.type('audio/wav').send(
          kind === 'buffer' ? sound : Readable.from([sound.subarray(0, 1_000_000), sound.subarray(1_000_000)])))
        app.post('/report', async (request) => { reports.push(request.body); await reported.pass(); return '' })
      }
    })
    reported.open()
    const profile = folder(t)
    const child = spawn('chromium', [
      '--headless=new', '--no-sandbox', '--disable-gpu', '--mute-audio', '--no-first-run', '--remote-debugging-port=0',
      `--user-data-dir=${profile}`, `http://127.0.0.1:${await portOf(app.app)}/`
    ], { env, stdio: 'ignore', detached: true })
    const ended = new Promise((resolve) => child.once('close', resolve))
    try {
      await Promise.race([reported.reached(), ended])
    } finally {
      try { process.kill(-(child.pid as number), 'SIGKILL') } catch {}
      await ended
    }
    t.match(reports[0], { at: 20, seekable: 30, error: null }, kind)
    t.match(asked[0], /^bytes=0-/, kind)
    t.equal((await app.cache.stats()).stores, 1)
  }
}))
