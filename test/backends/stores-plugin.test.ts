// The application on stores of third parties, through the plugin with all oracles: hits, tags, stores that die.
import { setTimeout as sleep } from 'node:timers/promises'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import KeyvRedis from '@keyv/redis'
import KeyvSqlite from '@keyv/sqlite'
import t, { type Test } from 'tap'
import type { Driver } from 'unstorage'
import fsDriver from 'unstorage/drivers/fs'
import type { Duration } from '../../registry/check.js'
import { build, type TestApp } from '../support/app.js'
import { startMemcached } from '../support/memcached-server.js'
import { needs } from '../support/programs.js'
import { startServer, until } from '../support/redis-server.js'

/** The levers of a store's server. */
interface Server {
  stop (): void
  goOn (): void
  kill (): Promise<void>
}

interface Row {
  readonly name: string
  readonly backend: string
  /** Whether there is a server that can die. */
  readonly canDie?: true
  /** The program of that server. */
  readonly program?: string
  start (t: Test): Promise<{ options: object, server?: Server }>
}

const ROWS: readonly Row[] = [
  { name: 'keyv on @keyv/sqlite', backend: 'keyv', start: async () => ({ options: { store: new KeyvSqlite() } }) },
  {
    name: 'keyv on @keyv/redis',
    backend: 'keyv',
    canDie: true,
    program: 'redis-server',
    async start (t) {
      const server = await startServer(t)
      return { options: { store: new KeyvRedis(server.url) }, server }
    }
  },
  {
    name: 'memcached',
    backend: 'memcached',
    canDie: true,
    program: 'memcached',
    async start (t) {
      const server = await startMemcached(t)
      return { options: { server: server.server }, server }
    }
  },
  {
    name: 'unstorage on the driver fs',
    backend: 'unstorage',
    canDie: true,
    async start (t) {
      const base = mkdtempSync(join(tmpdir(), 'unstorage-'))
      t.teardown(() => rmSync(base, { recursive: true, force: true }))
      return mortal(fsDriver({ base }))
    }
  }
]

/** A driver that hangs while it is stopped, as on a network drive, and throws once it is killed. */
function mortal (driver: Driver): { options: object, server: Server } {
  let act: () => unknown = () => undefined
  let goOn: () => void = () => {}
  const options = {
    driver: {
      ...driver,
      async getItemRaw (...values: [string, object]) { await act(); return await driver.getItemRaw!(...values) },
      async setItemRaw (...values: [string, Buffer, object]) { await act(); await driver.setItemRaw!(...values) }
    }
  }
  const server = {
    stop () {
      const going = new Promise<void>((resolve) => { goOn = resolve })
      act = () => going
    },
    goOn () {
      act = () => undefined
      goOn()
    },
    async kill () { act = () => { throw new Error('the drive is gone') } }
  }
  return { options, server }
}

/** An application with a cached route. */
async function startApp (
  t: Test, { backend, options, deadline = '100ms' }: { backend: string, options: object, deadline?: Duration }
): Promise<TestApp> {
  return await build(t, {
    backend,
    options,
    deadline,
    routes (app, { ran, version }) {
      app.get('/:id', { config: { cache: { ttl: '1h', tags: ['all'] } } }, async (request, reply) => {
        ran()
        reply.header('x-version', version())
        return `the response to ${(request.params as { id: string }).id}`
      })
    }
  })
}

async function untilHit ({ ask, clock }: TestApp, url: string, passMs = 0): Promise<void> {
  await until('there are hits', async () => {
    await clock.pass(passMs)
    return (await ask(url)).hit
  })
}

for (const { name, backend, canDie, program, start } of ROWS) {
  const needed = program === undefined ? {} : needs(program)
  t.test(`${name}: a route is a hit, a tag is invalidated, and so is a path if the store can be listed`, needed, async (t) => {
    const app = await startApp(t, { backend, deadline: '2s', ...await start(t) })
    await untilHit(app, '/a')
    await untilHit(app, '/b')
    const ran = app.runs()
    t.equal((await app.ask('/a')).text, 'the response to a')
    t.equal(app.runs(), ran)
    await app.change(() => app.cache.invalidate('all'))
    t.match((await app.ask('/a')).cacheStatus, /fwd=miss/)
    await untilHit(app, '/a')
    if (app.cache.backend.powers.includes('clear')) {
      await app.change(() => app.cache.invalidate({ url: '/a' }))
      t.match((await app.ask('/a')).cacheStatus, /fwd=miss/)
    } else await t.rejects(app.cache.clear(), { code: 'CACHE_ERR_POWER_MISSING' })
    t.same(app.warnings(), [])
  })

  if (canDie === undefined) continue
  t.test(`${name}: a store that is stopped, resumed and killed costs the deadline, and every request is served`, needed, async (t) => {
    const { options, server } = await start(t) as { options: object, server: Server }
    const app = await startApp(t, { backend, options: { ...options, timeout: '200ms' } })
    // The first failure is logged with a stack, which makes Node.js read source maps. That time is not the cache's.
    const asked = async (): Promise<void> => {
      for (const slow of [false, true, true]) t.equal((await app.ask({ url: '/a', slow })).text, 'the response to a')
    }
    await untilHit(app, '/a')
    // Until the response is written, it is served without a read.
    await sleep(100)
    server.stop()
    await asked()
    t.match(app.warnings()[0], { backend, operation: 'get' })
    server.goOn()
    await untilHit(app, '/a', 31_000)
    await server.kill()
    await asked()
    t.ok(Object.values((await app.cache.stats()).errors).some((count) => count > 0))
  })
}
