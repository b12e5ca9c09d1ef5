// Responses that vary: how long their list is kept, and which variant a request receives.
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'
import { Barrier, turns, until } from '../../support/barrier.js'
import { cached } from '../../support/document.js'

const MINUTE_MS = 60_000

t.test('a variant with a long lifetime is found after one that was stored later has expired', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.get('/', cached({ keep: 0 }), async ({ headers }, reply) => {
          reply.cache({ ttl: headers['accept-language'] === 'de' ? '1h' : '1m' })
          return await reply.header('vary', 'accept-language').send(headers['accept-language'])
        })
      }
    })
    const ask = async (language: string) => await app.ask({ url: '/', headers: { 'accept-language': language } })
    for (const language of ['de', 'fr']) t.match(await ask(language), { hit: false, text: language })
    await app.clock.pass(2 * MINUTE_MS)
    t.match(await ask('de'), { hit: true, text: 'de' })
    t.match(await ask('fr'), { hit: false, text: 'fr' })
    await app.clock.pass(57 * MINUTE_MS)
    t.match(await ask('de'), { hit: true, text: 'de' }, 'the later one does not end it either')
    await app.clock.pass(MINUTE_MS)
    t.match(await ask('de'), { hit: false, text: 'de' })
  }))

t.test("a waiting request receives a response without Vary only if it matches the request's own variant", async (t) =>
  forEachBackend(t, async (t, on) => {
    const barrier = new Barrier()
    let says = true
    const app = await build(t, {
      ...on,
      compare: false,
      before: (app, probe) => { app.addHook('preHandler', async () => { probe.ran('asked') }) },
      routes (app) {
        app.get('/', cached(), async ({ headers }, reply) => {
          if (says) reply.header('vary', 'accept-language')
          else await barrier.pass()
          return headers['accept-language']
        })
      }
    })
    const ask = async (language: string): Promise<string> => (await app.ask({ url: '/', headers: { 'accept-language': language } })).text
    t.equal(await ask('en'), 'en')
    says = false
    const leader = ask('de')
    await barrier.reached()
    const others = [ask('fr'), ask('de')]
    await until(() => app.runs('asked') === 4)
    await turns()
    t.equal(barrier.arrived, 2, 'one for each language')
    barrier.open()
    t.same(await Promise.all([leader, ...others]), ['de', 'fr', 'de'])
    t.match(await app.cache.stats(), { coalesced: 1 })
  }))
