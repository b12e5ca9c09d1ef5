// A model fuzzer: random requests, invalidations, clock steps, hooks and disconnecting clients. Responses are checked against the model.
// Plays fixed seeds for about a minute. FUZZ_SECONDS=600 plays from FUZZ_SEED for that long, FUZZ_SEED alone plays that seed.
import t from 'tap'
import { BACKENDS, campaignOf, PROTOCOLS, run } from './fuzz/campaign.js'
import { HOOKS } from './fuzz/hooks.js'
import { planOf, reduced } from './fuzz/plan.js'
import { play } from './fuzz/play.js'
import { SABOTAGES } from './fuzz/sabotages.js'
import { Resources } from './support/oracles.js'

const campaign = campaignOf(process.env)
const pairs = BACKENDS.flatMap((backend) => PROTOCOLS.map((protocol) => ({ backend, protocol })))
  .filter((pair) => campaign.on.size === 0 || Object.values(pair).some((name) => campaign.on.has(name)))
  .filter(({ protocol }) => (campaign.plan?.protocol ?? protocol) === protocol)

t.setTimeout((campaign.seconds + 120) * 1_000)

for (const [at, { backend, protocol }] of pairs.entries()) {
  // Each pair plays seeds of its own, unless FUZZ_SEED is set.
  const seed = process.env.FUZZ_SEED === undefined ? campaign.seed + at * 1_000 : campaign.seed
  t.test(`fuzzer: no client gets a response that was made for another, is too old, or is cut short: ${backend}, ${protocol}`, async (t) => {
    const resources = new Resources()
    const { failure, plans, requests, hits } = await run({ ...campaign, seed }, { backend, protocol, share: 1 / pairs.length })
    if (failure !== undefined) t.fail('a plan fails', { failure })
    // Printed as comments too, so that they can be copied.
    for (const line of failure ?? []) t.comment(line)
    t.same(await resources.left(), [])
    t.comment(`${plans} plans, ${requests} requests, ${hits} hits`)
    if (campaign.plan === undefined && plans > 20) t.ok(hits > requests / 20, 'the cache was in use')
  })
}

t.test('fuzzer: without the cache no rule is broken, so the rules are about the cache only', async (t) => {
  for (const protocol of PROTOCOLS) {
    for (let seed = 1; seed <= 6; seed++) {
      t.same((await play(planOf(seed, protocol), { backend: 'none' })).wrong, [], `seed ${seed}, ${protocol}`)
    }
  }
})

for (const [name, sabotage] of Object.entries(SABOTAGES)) {
  t.test(`fuzzer: a sabotaged cache is detected: ${name}`, async (t) => {
    const rules = new Set<string>()
    for (let seed = 1; seed <= 40 && !rules.has(sabotage.rule); seed++) {
      const { wrong } = await play(reduced(planOf(seed, 'http1'), new Set(HOOKS)), { backend: 'memory', sabotage })
      for (const fault of wrong) rules.add(fault.slice(0, fault.indexOf(':')))
    }
    t.ok(rules.has(sabotage.rule), sabotage.rule)
  })
}
