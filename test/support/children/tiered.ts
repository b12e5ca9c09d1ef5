// Sets a key again in two tiers that persist, and stops in the middle, to be killed. Arguments: folder, far backend, where to stop.
import { join } from 'node:path'
import { builtIns } from '../../../backends/index.js'
import { defineBackend } from '../../../registry/registry.js'
import { Chaos } from '../chaos.js'
import { choiceOf, NEAR_TTL, valueOf } from '../tiered-kill.js'

const [folder = '', far = '', stop = ''] = process.argv.slice(2)
const chaos = { near: new Chaos(), far: new Chaos() }
const registry = builtIns()
for (const name of ['near', 'far'] as const) {
  const choice = choiceOf(name === 'near' ? 'file' : far, join(folder, name))
  registry.add(name as 'memory', () =>
    defineBackend({ name, create: async (_options: object, context) => chaos[name].wrap(await context.open(choice)) }))
}
const tiers = [{ backend: 'near' as 'memory' }, { backend: 'far' as 'memory' }]
const cache = await registry.open({ backend: 'tiered', options: { tiers, nearTtl: NEAR_TTL } })
await cache.set('key', valueOf('old'))
// The copy is not waited for, but the scan over the files is.
await chaos.near.inner!.size!()

/** Each resolves when the set has reached the point where it stops. */
const STOPS: Record<string, () => Promise<void>> = {
  async 'before the far write' () {
    chaos.far.set.hang()
    cache.set('key', valueOf('new'))
    await chaos.far.set.hangs()
    await chaos.near.inner!.size!()
  },
  async 'before the far write is confirmed' () {
    chaos.far.set.stall()
    cache.set('key', valueOf('new'))
    await chaos.far.set.hangs()
    await chaos.near.inner!.size!()
  },
  async 'before the near write' () {
    chaos.near.set.hang()
    cache.set('key', valueOf('new'))
    await chaos.near.set.hangs()
  },
  async 'before the near delete' () {
    chaos.near.delete.hang()
    chaos.far.set.stall()
    cache.set('key', valueOf('new'))
    await Promise.all([chaos.near.delete.hangs(), chaos.far.set.hangs()])
  }
}

await STOPS[stop]!()
console.log('stopped')
setInterval(() => {}, 1_000)
