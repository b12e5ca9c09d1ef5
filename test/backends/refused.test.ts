// Entries that a backend or its store refuses: however many there are, other entries are still read and written.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { builtIns } from '../../backends/index.js'
import type { BackendChoice } from '../../registry/names.js'
import { CacheStatus } from '../../response/observe/cache-status.js'
import { ThrottledLog } from '../../response/observe/log.js'
import { Observer } from '../../response/observe/observer.js'
import { BackendGuard } from '../../response/store/backend-guard.js'
import { failureOf } from '../support/entries.js'
import { needsFor } from '../support/every-backend.js'
import { textOf } from '../support/guard.js'
import { serve, TOKEN } from '../support/http.js'
import { startMemcached } from '../support/memcached-server.js'
import { startServer } from '../support/redis-server.js'

/** A value that all of these backends refuse, and how often it is set: more often than the breaker allows failures in a row. */
const LARGE_BYTES = 3_000_000
const TIMES = 8

const ways: Record<string, (t: Test) => Promise<BackendChoice>> = {
  file: async (t) => ({ backend: 'file', options: { dir: join(t.testdir(), 'cache'), maxBytes: 1_000_000 } }),
  sqlite: async (t) => ({ backend: 'sqlite', options: { path: join(t.testdir(), 'cache.db'), maxBytes: 1_000_000 } }),
  redis: async (t) => ({ backend: 'redis', options: { url: (await startServer(t)).url, maxValueBytes: 1_000_000 } }),
  memcached: async (t) => ({ backend: 'memcached', options: { server: (await startMemcached(t)).server } }),
  'http, by its own limit': async (t) => ({
    backend: 'http', options: { baseUrl: (await serve(t)).baseUrl, authToken: TOKEN, maxValueBytes: 1_000_000 }
  }),
  "http, by the service's": async (t) => ({
    backend: 'http', options: { baseUrl: (await serve(t, { maxBodyBytes: 1_000_000 })).baseUrl, authToken: TOKEN }
  }),
  'tiered, by its last tier': async (t) => ({ backend: 'tiered', options: { tiers: [{ backend: 'memory' }, await ways.file!(t)] } }),
  'tiered, by all tiers': async (t) => ({ backend: 'tiered', options: { tiers: [await ways.file!(t), await ways.sqlite!(t)] } })
}

for (const [name, wayOf] of Object.entries(ways)) {
  t.test(`${name}: entries that are refused as too large do not affect other entries`, needsFor(name), async (t) => {
    const silent = { debug () {}, info () {}, warn () {}, error () {} }
    const backend = await builtIns().open(await wayOf(t))
    const guard = new BackendGuard(backend, {
      name,
      deadlineMs: 2_000,
      now: Date.now,
      steadyNow: () => performance.now(),
      observer: new Observer(new CacheStatus(), new ThrottledLog(silent, Date.now))
    })
    t.teardown(() => guard.close(500, 500))
    const entry = (bytes: number) => ({ value: Buffer.alloc(bytes, 'v'), expiresAt: Date.now() + 60_000 })
    await guard.write('set', 'small', entry(5))
    for (let time = 0; time < TIMES; time++) {
      t.match(await failureOf(() => guard.write('set', `large ${time}`, entry(LARGE_BYTES))), { code: 'CACHE_ERR_BACKEND_FAILED' })
    }
    t.equal(textOf(await guard.get('small', guard.deadline())), 'vvvvv')
    await guard.write('set', 'another', entry(5))
    t.equal(textOf(await guard.get('another', guard.deadline())), 'vvvvv')
    t.equal(guard.errors.set, TIMES, 'the refusals are counted')
  })
}
