// An event loop that the application blocks: calls to a store that responds within its deadline don't fail, and return their entries.
import t, { type Test } from 'tap'
import { builtIns } from '../../backends/index.js'
import type { BackendChoice } from '../../registry/names.js'
import { CacheStatus } from '../../response/observe/cache-status.js'
import { ThrottledLog } from '../../response/observe/log.js'
import { Observer } from '../../response/observe/observer.js'
import { BackendGuard } from '../../response/store/backend-guard.js'
import { textOf } from '../support/guard.js'
import { needsFor } from '../support/every-backend.js'
import { startMemcached } from '../support/memcached-server.js'
import { startServer } from '../support/redis-server.js'
import { holdUp, startRelay, startSlowService } from '../support/slow.js'

const LATE_MS = 50
// Far above the time that a responsive store takes on a busy machine, and far below the time for which the loop is blocked.
const DEADLINE_MS = 600
const HELD_UP_MS = 1_500
const READS = 8

const TOKEN = 'a-token-that-nobody-guesses'

const ways: Record<string, (t: Test) => Promise<BackendChoice>> = {
  async redis (t) {
    const { port } = await startServer(t)
    return { backend: 'redis', options: { url: `redis://127.0.0.1:${await startRelay(t, port, LATE_MS)}` } }
  },
  async memcached (t) {
    const { port } = await startMemcached(t)
    return { backend: 'memcached', options: { server: `127.0.0.1:${await startRelay(t, port, LATE_MS)}` } }
  },
  async http (t) {
    return { backend: 'http', options: { baseUrl: `http://127.0.0.1:${await startSlowService(t, TOKEN, LATE_MS)}`, authToken: TOKEN } }
  },
  async tiered (t) {
    return {
      backend: 'tiered',
      options: { deadline: `${DEADLINE_MS * 0.8}ms`, tiers: [{ backend: 'memory', options: { maxEntries: 1 } }, await ways.redis!(t)] }
    }
  }
}

for (const [name, wayOf] of Object.entries(ways)) {
  t.test(`${name}: reads that began before the event loop was blocked return their entries, and none counts as a failure`,
    needsFor(name), async (t) => {
      const log = { debug () {}, info () {}, warn (d: object, m: string) { t.comment(m, d) }, error () {} }
      const backend = await builtIns().open(await wayOf(t), { deadlineMs: DEADLINE_MS })
      const guard = new BackendGuard(backend, {
        name,
        deadlineMs: DEADLINE_MS,
        now: Date.now,
        steadyNow: Date.now,
        observer: new Observer(new CacheStatus(), new ThrottledLog(log, Date.now))
      })
      t.teardown(() => guard.close(500, 500))
      const keys = Array.from({ length: READS }, (_, at) => `key ${at}`)
      for (const key of keys) await guard.write('set', key, { value: Buffer.alloc(100_000, key), expiresAt: Date.now() + 60_000 })
      for (const when of ['blocked in the turn of the reads', 'blocked in the next turn']) {
        const reads = Promise.all(keys.map(async (key) => await guard.get(key, guard.deadline())))
        if (when === 'blocked in the next turn') await new Promise((resolve) => setTimeout(resolve, 5))
        holdUp(HELD_UP_MS)
        const found = await reads
        t.equal(found.filter((read) => typeof textOf(read) === 'string').length, READS, when)
      }
      t.same({ ...guard.errors }, {})
    })
}
