// Concurrent requests for several variants of one key: each variant is collapsed by itself.
import t from 'tap'
import { Barrier, until } from '../../support/barrier.js'
import { collapsing, everywhere, many } from '../../support/collapsing.js'
import { cached } from '../../support/document.js'

const LANGUAGES = ['de', 'en', 'es', 'fr', 'it']

t.test('fifty requests in five languages run the handler five times, with a cold cache and with expired variants', async (t) => {
  await everywhere(t, async (t, where) => {
    const barriers = [new Barrier(), new Barrier()]
    let round = 0
    const app = await collapsing(t, where, {
      routes: (app, probe) => app.get('/', cached(), async ({ headers }, reply) => {
        probe.ran()
        await barriers[round]!.pass()
        return await reply.header('vary', 'accept-language').send(`in ${headers['accept-language']}`)
      })
    })
    for (; round < 2; round++) {
      const first = app.ask({ headers: { 'accept-language': 'de' } })
      await barriers[round]!.reached()
      const languages = ['de', ...many(49, (at) => LANGUAGES[at % LANGUAGES.length]!)]
      const responses = [first, ...languages.slice(1).map(async (language) => await app.ask({ headers: { 'accept-language': language } }))]
      await app.asked(50 + 55 * round)
      if (round === 1) t.equal(barriers[1]!.arrived, 5, 'the variants are known, so none waits for another')
      barriers[round]!.open()
      t.same((await Promise.all(responses)).map(({ text }) => text), languages.map((language) => `in ${language}`))
      t.equal(app.runs(), 5 * (round + 1))
      for (const language of LANGUAGES) {
        t.match(await app.ask({ headers: { 'accept-language': language } }), { hit: true, text: `in ${language}` })
      }
      await app.clock.pass(61_000)
    }
  })
})

t.test('a variant that is not shareable is not collapsed for a while, and the others are', async (t) => {
  await everywhere(t, async (t, where) => {
    const barrier = new Barrier()
    let isHeld = false
    const app = await collapsing(t, where, {
      routes: (app, probe) => app.get('/', cached(), async ({ headers: { 'accept-language': language } }, reply) => {
        probe.ran(language as string)
        if (isHeld) await barrier.pass()
        reply.header('vary', 'accept-language')
        if (language === 'de') reply.header('cache-control', 'private')
        return `in ${language}`
      })
    })
    const ask = async (language: string) => await app.ask({ headers: { 'accept-language': language } })
    await ask('de')
    isHeld = true
    const responses = [...many(10, async () => await ask('de')), ...many(10, async () => await ask('fr'))]
    await app.asked(21)
    t.equal(barrier.arrived, 11, 'all in German, and one in French')
    barrier.open()
    await Promise.all(responses)
    t.same([app.runs('de'), app.runs('fr')], [11, 1])
    t.match(await app.stats(), { coalesced: 9 })
    t.match(await ask('fr'), { hit: true, text: 'in fr' })
  })
})

t.test('requests that wait for a variant that turns out not to be shareable run the handler, and the others collapse', async (t) => {
  await everywhere(t, async (t, where) => {
    const [first, others] = [new Barrier(), new Barrier()]
    const app = await collapsing(t, where, {
      routes: (app, probe) => app.get('/', cached(), async ({ headers: { 'accept-language': language } }, reply) => {
        await (probe.ran() === 1 ? first : others).pass()
        reply.header('vary', 'accept-language')
        if (language === 'de') reply.header('cache-control', 'private')
        return `in ${language}`
      })
    })
    const ask = async (language: string) => await app.ask({ headers: { 'accept-language': language } })
    const leader = ask('de')
    await first.reached()
    const responses = [...many(3, async () => await ask('de')), ...many(10, async () => await ask('fr'))]
    await app.asked(14)
    first.open()
    await others.reached(4)
    others.open()
    t.same((await Promise.all([leader, ...responses])).map(({ text }) => text), [...many(4, () => 'in de'), ...many(10, () => 'in fr')])
    t.equal(app.runs(), 5)
  })
})

t.test('variants that are filled concurrently are all stored', async (t) => {
  await everywhere(t, async (t, where) => {
    const barrier = new Barrier()
    const app = await collapsing(t, where, {
      routes: (app) => app.get('/', cached({ lock: false }), async ({ headers: { 'accept-language': language } }, reply) => {
        await barrier.pass()
        return await reply.header('vary', 'accept-language').send(`in ${language}`)
      })
    })
    const responses = LANGUAGES.map(async (language) => await app.ask({ headers: { 'accept-language': language } }))
    await barrier.reached(5)
    // The one that began last ends first.
    // Each of them reads the list of variants before another one has written it.
    app.chaos.get.later()
    barrier.open()
    await Promise.all(responses)
    await until(async () => (await app.stats()).stores === 5)
    for (const language of LANGUAGES) {
      t.match(await app.ask({ headers: { 'accept-language': language } }), { hit: true, text: `in ${language}` })
    }
  })
})
