// The time that a request waits for another one does not count towards the backend's deadline.
import { mock } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { build } from '../../support/app.js'
import { Barrier, turns, until } from '../../support/barrier.js'
import { Chaos, isResponse, isStamp } from '../../support/chaos.js'
import { cached } from '../../support/document.js'

const DEADLINE_MS = 2_000

t.test("a request that waited for another one in vain has as much of the backend's deadline left as before", async (t) => {
  // The clock stands still, so that a busy machine makes no difference.
  let at = performance.now()
  const now = mock.method(performance, 'now', () => at)
  t.teardown(() => now.mock.restore())
  const [chaos, leads] = [new Chaos(), new Barrier()]
  const app = await build(t, {
    ...chaos.over(),
    deadline: DEADLINE_MS / 1_000,
    lockTimeout: '1m',
    compare: false,
    before: (app, probe) => { app.addHook('preHandler', async () => { probe.ran('asked') }) },
    routes (app, probe) {
      app.get('/', cached({ tags: ['news'] }), async () => {
        if (probe.ran() > 1) return 'good'
        await leads.pass()
        throw new Error('broken')
      })
    }
  })
  // The deadline begins with the first read that the request waits for.
  chaos.get.only(isResponse).later()
  const leader = app.ask('/')
  await leads.reached()
  const follower = app.ask('/')
  await until(() => app.runs('asked') === 2)
  await turns()
  // The whole deadline passes, plus the time after which a free event loop would notice that.
  at += DEADLINE_MS + 5
  for (const method of [chaos.get, chaos.getMany]) method.only(isStamp).hang()
  leads.open()
  t.match(await leader, { status: 500 })
  await Promise.race([chaos.get.hangs(), chaos.getMany.hangs()])
  await sleep(50)
  for (const method of [chaos.get, chaos.getMany]) method.heal()
  for (const method of [chaos.get, chaos.getMany]) method.release()
  t.match(await follower, { status: 200, text: 'good' })
  await until(async () => (await app.cache.stats()).stores === 1)
  t.match(await app.cache.stats(), { errors: { get: undefined, getMany: undefined } })
})
