// Clocks that jump: the system's clock under a running process, and the clock under which an entry was stored.
import t from 'tap'
import Fastify from 'fastify'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import responseCache from '../../../plugin.js'
import { build, forEachBackend } from '../../support/app.js'
import { until } from '../../support/barrier.js'
import { needs } from '../../support/programs.js'
import { Served, WallClock } from '../../support/served.js'
import { newFolder } from '../../support/folder.js'

const HOUR_MS = 3_600_000

t.test("a backward step of the system's clock is ignored, and a forward step ends responses that are old enough", async (t) => {
  await forEachBackend(t, async (t, on) => {
    const dateNow = Date.now
    const steady = performance.now
    let [setBy, later] = [0, 0]
    Date.now = () => dateNow() + setBy + later
    performance.now = () => steady.call(performance) + later
    t.teardown(() => { Object.assign(Date, { now: dateNow }); Object.assign(performance, { now: steady }) })
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(responseCache, on as { backend: 'memory' })
    app.get('/a/:id', { config: { cache: { ttl: '1m' } } }, async () => 'a')
    const ask = async (id: string) => (await app.inject(`/a/${id}`)).headers
    await ask('1')
    setBy = -HOUR_MS
    later += 2_000
    const { age, 'cache-status': status } = await ask('1')
    t.match(status, / hit;/)
    t.ok(Number(age) >= 2 && Number(age) < 30)
    setBy = 0
    later += 2_000
    t.match((await ask('1'))['cache-status'], / hit;/)
    setBy = 2 * 60_000
    later += 1_000
    t.match((await ask('1'))['cache-status'], /fwd=(miss|stale)/, 'it is older than a minute')
    t.match((await ask('1'))['cache-status'], / hit;/)
  })
})

t.test('an entry from the future was stored under another clock: it is a miss, and is made anew', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { ask, clock, cache } = await build(t, {
      ...on, routes: (app) => app.get('/a', { config: { cache: { ttl: '1m' } } }, async () => 'a')
    })
    await ask('/a')
    await until(async () => (await cache.stats()).stores === 1)
    await clock.pass(-HOUR_MS)
    t.notOk((await ask('/a')).hit)
    const again = await ask('/a')
    t.ok(again.hit)
    t.equal(again.headers.age, '0')
  })
})

t.test('a day forward and back: expired entries are gone, later ones are kept, and no age is negative', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { ask, clock } = await build(t, { ...on, routes: (app) => app.get('/a', { config: { cache: { ttl: '1m' } } }, async () => 'a') })
    await ask('/a')
    t.ok((await ask('/a')).hit)
    await clock.pass(24 * HOUR_MS)
    t.notOk((await ask('/a')).hit)
    t.ok((await ask('/a')).hit)
    await clock.pass(-24 * HOUR_MS)
    t.notOk((await ask('/a')).hit)
    const { hit, headers } = await ask('/a')
    t.ok(hit)
    t.ok(Number(headers.age) >= 0)
  })
})

t.test("a forward step of one process's clock is followed; once it is corrected, all processes agree again and nothing lives longer",
  { timeout: 180_000, ...needs('faketime') }, async (t) => {
    const options = { backend: 'sqlite', options: { path: join(newFolder(t), 'cache.db') } }
    const wall = new WallClock(join(newFolder(t), 'wall'))
    const first = await Served.start(options, wall)
    t.teardown(() => first.kill())
    await first.ask('/a')
    await until(async () => / hit;/.test(await first.ask('/a')))

    wall.set(3_600)
    const second = await Served.start(options, wall)
    t.teardown(() => second.kill())
    await until(async () => !/ hit;/.test(await first.ask('/a')) || !/ hit;/.test(await second.ask('/a')))
    await agree(first, second)
    await first.ask('/made-in-the-future')

    // No process knows yet which of the two is wrong. A process that begins now trusts the system's clock.
    wall.set(0)
    const third = await Served.start(options, wall)
    t.teardown(() => third.kill())
    await agree(first, third)
    await agree(second, third)
    wall.set(3_600)
    await until(async () => !/ hit;/.test(await first.ask('/a')))
    t.notMatch(await first.ask('/made-in-the-future'), / hit;/, 'a response that was stored an hour ago is not fresh again when its time comes')
  })

/** Resolves when each of two processes finds what the other has stored. */
async function agree (one: Served, other: Served): Promise<void> {
  for (const [from, to] of [[one, other], [other, one]] as const) {
    await until(async () => {
      const url = `/${randomUUID()}`
      await from.ask(url)
      // The response is stored after it was sent, and the clocks need time: requests without a pause would occupy the processor.
      await wait(20)
      return / hit;/.test(await to.ask(url))
    }, 60_000)
  }
}
