// Fills that began before an invalidation, on backends that are not synchronous: files, Redis, a service, tiers of them.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { turns, until } from '../support/barrier.js'
import { fenced, WAYS } from '../support/fencing.js'
import { serve, TOKEN } from '../support/http.js'
import { startServer } from '../support/redis-server.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

interface On { readonly backend: string, readonly options: object }

const { url } = await startServer(t)
let prefixes = 0

const KINDS: Readonly<Record<string, (t: Test) => Promise<On>>> = {
  file: async (t) => ({ backend: 'file', options: { dir: join(t.testdir({}), 'cache') } }),
  redis: async () => ({ backend: 'redis', options: { url, prefix: `${prefixes++}:` } }),
  http: async (t) => ({ backend: 'http', options: { baseUrl: (await serve(t)).baseUrl, authToken: TOKEN } }),
  'memory before redis': async () => ({
    backend: 'tiered', options: { tiers: [{ backend: 'memory' }, { backend: 'redis', options: { url, prefix: `${prefixes++}:` } }] }
  })
}

for (const [name, open] of Object.entries(KINDS)) {
  t.test(`${name}: a response that a handler made before an invalidation is not stored`, async (t) => {
    for (const way of WAYS) {
      await t.test(way.name, async (t) => {
        const { barrier, version, invalidated, cache, runs } = await fenced(t, await open(t), way, { deadline: '5s' })
        const before = version()
        await barrier.reached()
        const failure = await invalidated().then(() => undefined, (error: { code?: string }) => error)
        // The protocol has no `clear`.
        if (name === 'http' && failure?.code === 'CACHE_ERR_POWER_MISSING') {
          t.notMatch(way.name, /tag|key|absolute/)
          barrier.open()
          await before
          return
        }
        t.equal(failure, undefined)
        const after = version()
        if (way.late !== true) t.equal(await after, '2', 'a later request does not join the earlier fill')
        else await until(async () => (await cache.stats()).misses === 2)
        await turns()
        barrier.open()
        t.equal(await before, '1', 'an earlier request receives what was made for it')
        t.equal(await after, '2')
        t.equal(await version(), '2', 'the old response is not stored')
        t.ok(runs() <= 3)
      })
    }
  })
}
