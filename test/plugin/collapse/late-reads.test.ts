// A lookup that began before a response was stored, and ends after it with nothing: it looks again, and the handler runs once.
import t from 'tap'
import { Barrier, turns, until } from '../../support/barrier.js'
import { isResponse } from '../../support/chaos.js'
import { collapsing, everywhere } from '../../support/collapsing.js'
import { cached } from '../../support/document.js'

t.test('a request whose lookup missed what was stored meanwhile is served that', async (t) => {
  await everywhere(t, async (t, where) => {
    const barrier = new Barrier()
    const app = await collapsing(t, where, {
      routes: (app, probe) => app.get('/', cached(), async () => {
        const run = probe.ran()
        await barrier.pass()
        return `run ${run}`
      })
    })
    const first = app.ask()
    await barrier.reached()
    app.chaos.get.only(isResponse).stall()
    const late = app.ask()
    await app.chaos.get.hangs()
    app.chaos.get.heal()
    barrier.open()
    t.equal((await first).text, 'run 1')
    await until(async () => (await app.stats()).stores === 1)
    app.chaos.get.release()
    t.match(await late, { text: 'run 1', hit: true })
    t.equal(app.runs(), 1)
  })
})

t.test('a request whose lookup found a stale response is served the fresh one that was stored meanwhile', async (t) => {
  await everywhere(t, async (t, where) => {
    const app = await collapsing(t, where, {
      routes: (app, probe) => app.get('/', cached({ keep: '1h' }), async (_request, reply) =>
        await reply.header('etag', '"1"').send(`run ${probe.ran()}`))
    })
    await app.ask()
    await app.chaos.written()
    await app.clock.pass(61_000)
    app.chaos.get.only(isResponse).stall()
    const late = app.ask()
    await app.chaos.get.hangs()
    app.chaos.get.heal()
    t.equal((await app.ask()).text, 'run 2')
    await until(async () => (await app.stats()).stores === 2)
    app.chaos.get.release()
    t.match(await late, { text: 'run 2', hit: true })
  })
})

t.test('a request whose lookup missed a response that was invalidated meanwhile runs the handler', async (t) => {
  await everywhere(t, async (t, where) => {
    const app = await collapsing(t, where, {
      routes: (app, probe) => app.get('/', cached({ tags: ['news'] }), async () => `run ${probe.ran()}`)
    })
    app.chaos.get.only(isResponse).stall()
    const late = app.ask()
    await app.chaos.get.hangs()
    app.chaos.get.heal()
    t.equal((await app.ask()).text, 'run 1')
    await until(async () => (await app.stats()).stores === 1)
    await app.cache.invalidate('news')
    app.chaos.get.release()
    t.match(await late, { text: 'run 2', hit: false })
    t.match(await app.ask(), { text: 'run 2', hit: true })
  })
})

t.test('getOrSet: a call whose lookup missed what was stored meanwhile returns that', async (t) => {
  await everywhere(t, async (t, where) => {
    const { cache, chaos } = await collapsing(t, where, { routes: () => {} })
    let runs = 0
    const get = async () => await cache.getOrSet('k', { ttl: '1m' }, () => ++runs)
    chaos.get.stall()
    const late = get()
    await chaos.get.hangs()
    chaos.get.heal()
    t.equal(await get(), 1)
    await turns()
    chaos.get.release()
    t.equal(await late, 1)
    t.equal(runs, 1)
  })
})
