// Large values on every backend that stores them outside this process: they come back byte for byte, or not at all.
import { hash } from 'node:crypto'
import { join } from 'node:path'
import KeyvSqlite from '@keyv/sqlite'
import t, { type Test } from 'tap'
import fsDriver from 'unstorage/drivers/fs'
import type { BackendChoice } from '../../registry/names.js'
import { build } from '../support/app.js'
import { needsFor, opened } from '../support/every-backend.js'
import { serve, TOKEN } from '../support/http.js'
import { startServer } from '../support/redis-server.js'
import { sized } from '../support/size.js'
import { newFolder } from '../support/folder.js'

t.setTimeout(300_000)

const LARGE_BYTES = sized(100_000_000)
const LARGE = `${LARGE_BYTES / 1e6} MB`
const LIMIT_BYTES = 1_000_000_000
const TIMEOUT_MS = 120_000

/** The backends, with their limits raised and longer timeouts than an application should have. */
const ROWS: Readonly<Record<string, (t: Test) => Promise<BackendChoice>>> = {
  file: async (t) => ({ backend: 'file', options: { dir: join(newFolder(t), 'cache'), maxBytes: LIMIT_BYTES } }),
  sqlite: async (t) => ({ backend: 'sqlite', options: { path: join(newFolder(t), 'cache.db'), maxBytes: LIMIT_BYTES } }),
  redis: async (t) => ({
    backend: 'redis',
    options: {
      connection: { port: (await startServer(t)).port, host: '127.0.0.1', commandTimeout: TIMEOUT_MS }, maxValueBytes: LIMIT_BYTES
    }
  }),
  async http (t) {
    const { baseUrl } = await serve(t, { behind: { backend: 'memory', options: { maxBytes: LIMIT_BYTES } }, maxBodyBytes: LIMIT_BYTES })
    return { backend: 'http', options: { baseUrl, authToken: TOKEN, maxValueBytes: LIMIT_BYTES, timeout: TIMEOUT_MS / 1_000 } }
  },
  keyv: async (t) => ({
    backend: 'keyv', options: { store: new KeyvSqlite(`sqlite://${join(newFolder(t), 'keyv.db')}`), timeout: TIMEOUT_MS / 1_000 }
  }),
  unstorage: async (t) => ({ backend: 'unstorage', options: { driver: fsDriver({ base: newFolder(t) }), timeout: TIMEOUT_MS / 1_000 } })
}

/** All 256 byte values, and never the same four bytes twice in a row. */
function large (): Buffer {
  const bytes = Buffer.allocUnsafeSlow(LARGE_BYTES)
  for (let at = 0, state = 1; at < bytes.length; at += 4) bytes.writeInt32LE(state = Math.imul(state, 1_664_525) + 1_013_904_223 | 0, at)
  return bytes
}

for (const [name, choose] of Object.entries(ROWS)) {
  t.test(`${name}: ${LARGE} come back byte for byte`, needsFor(name), async (t) => {
    const backend = await opened(t, await choose(t))
    const value = large()
    await backend.set('large', { value, expiresAt: Date.now() + 3_600_000 })
    const found = await backend.get('large')
    t.equal(found?.value.byteLength, LARGE_BYTES)
    t.equal(hash('sha256', found?.value ?? Buffer.alloc(0)), hash('sha256', value))
    await backend.delete('large')
    t.equal(await backend.get('large'), undefined)
  })
}

t.test(`a response of ${LARGE} is delivered whole; it is stored if maxBodyBytes allows it, and refused otherwise`, async (t) => {
  const value = large()
  const app = await build(t, {
    backend: 'file',
    options: { dir: join(newFolder(t), 'cache'), maxBytes: LIMIT_BYTES },
    deadline: '60s',
    compare: false,
    routes (app) {
      app.get('/refused', { config: { cache: { ttl: '1m' } } }, async () => value)
      app.get('/stored', { config: { cache: { ttl: '1m', maxBodyBytes: LARGE_BYTES } } }, async () => value)
    }
  })
  for (const [url, hit] of [['/refused', false], ['/refused', false], ['/stored', false], ['/stored', true]] as const) {
    const response = await app.app.inject(url)
    t.equal(hash('sha256', response.rawPayload), hash('sha256', value), url)
    t.match(String(response.headers['cache-status']), hit ? /; hit/ : url === '/stored' ? /stored/ : /detail=too-large/)
    await app.backends[0]!.size!()
  }
})
