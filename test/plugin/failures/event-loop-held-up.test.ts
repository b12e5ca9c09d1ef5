// An event loop that the application blocks after the backend has returned: no handler runs because of it, and stale responses are
// served.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { build } from '../../support/app.js'
import { turns, until } from '../../support/barrier.js'
import { Chaos } from '../../support/chaos.js'
import { holdUp } from '../../support/slow.js'

const LATE_MS = 30
// Far above what the reads take, even on a busy machine, and far below the time for which the loop is blocked.
const DEADLINE = '400ms'
const HELD_UP_MS = 1_000

t.test('requests with reads in progress while the loop was blocked are hits, fresh and stale; the breaker stays closed', async (t) => {
  const chaos = new Chaos({ methods: ['get', 'set', 'delete', 'close'] })
  const { ask, cache, clock, runs } = await build(t, {
    ...chaos.over(),
    deadline: DEADLINE,
    compare: false,
    routes: (app, { ran }) => app.get('/a/:id', { config: { cache: { ttl: '1m', staleWhileRevalidate: '1h' } } }, async ({ params }) => {
      ran()
      return params
    })
  })
  const paths = Array.from({ length: 8 }, (_, at) => `/a/${at}`)
  await Promise.all(paths.map(ask))
  // Its responses are long: they are read in several turns of the loop.
  chaos.get.instead(async (act) => {
    await sleep(LATE_MS)
    await turns(5)
    return await act()
  })
  const askWhileBlocked = async (): Promise<string[]> => {
    const calls = chaos.get.calls.length
    const responses = Promise.all(paths.map(ask))
    await until(() => chaos.get.calls.length === calls + paths.length)
    holdUp(HELD_UP_MS)
    return (await responses).map(({ cacheStatus }) => cacheStatus)
  }
  t.ok((await askWhileBlocked()).every((status) => /; hit; ttl=60/.test(status)), 'fresh')
  t.equal(runs(), paths.length)
  await clock.pass(120_000)
  const stale = await askWhileBlocked()
  t.ok(stale.every((status) => /; hit; ttl=-60/.test(status)), stale.join('\n'))
  t.same((await cache.stats()).errors, {})
})
