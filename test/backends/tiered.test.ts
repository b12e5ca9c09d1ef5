// The tiered backend while its tiers work: which tier is read, how long copies live, and its optional methods.
import fc from 'fast-check'
import t from 'tap'
import { builtIns } from '../../backends/index.js'
import type { TieredOptions } from '../../backends/tiered.js'
import { defineBackend } from '../../registry/registry.js'
import { powersOf, type CacheBackend, type StoredEntry } from '../../registry/backend.js'
import { Chaos } from '../support/chaos.js'
import { testClock } from '../support/clock.js'
import { mapBackend } from '../support/map-backend.js'
import { startServer } from '../support/redis-server.js'
import { heldIn, textOf, tieredSetUp } from '../support/tiered.js'
import { needs } from '../support/programs.js'

const TWO = [{ backend: 'memory' }, { backend: 'memory' }] as const

t.test('tiered: invalid options are refused', async (t) => {
  const wrong: ReadonlyArray<readonly [name: string, options: unknown]> = [
    ['tiered.tiers', {}],
    ['tiered.tiers', { tiers: [] }],
    ['tiered.tiers', { tiers: [{ backend: 'memory' }] }],
    ['tiered.tiers', { tiers: 'memory' }],
    ['tiered.tiers[1]', { tiers: [{ backend: 'memory' }, 'memory'] }],
    ['tiered.tiers[1].backend', { tiers: [{ backend: 'memory' }, {}] }],
    ['tiered.tiers[0].option', { tiers: [{ backend: 'memory', option: {} }, { backend: 'memory' }] }],
    ['tiered.nearTtl', { tiers: TWO, nearTtl: 0 }],
    ['tiered.nearTtl', { tiers: TWO, nearTtl: -1 }],
    ['tiered.nearTtl', { tiers: TWO, nearTtl: 'soon' }],
    ['tiered.deadline', { tiers: TWO, deadline: NaN }],
    ['tiered.ratio', { tiers: TWO, ratio: 0.5 }],
    ['memory.maxBytes', { tiers: [{ backend: 'memory', options: { maxBytes: -1 } }, { backend: 'memory' }] }]
  ]
  for (const [name, options] of wrong) {
    await t.rejects(builtIns().open({ backend: 'tiered', options: options as TieredOptions }), {
      code: 'CACHE_ERR_OPTION', message: `cache: '${name}' must be`
    }, name)
  }
})

t.test('tiered: if a tier can\'t be opened, the tiers already open are closed', async (t) => {
  const chaos = new Chaos()
  const registry = builtIns().add('one' as 'memory', () => defineBackend({ name: 'one', create: () => chaos.wrap(mapBackend(Date.now)) }))
  const tiers = [{ backend: 'one' as 'memory' }, { backend: 'unheard-of' as 'memory' }]
  await t.rejects(registry.open({ backend: 'tiered', options: { tiers } }), { code: 'CACHE_ERR_BACKEND_UNKNOWN' })
  t.equal(chaos.close.calls.length, 1)
})

t.test('tiered: a hit in the nearest tier is synchronous, and no other tier is called', async (t) => {
  const { backend, entry, chaos: [, far] } = await tieredSetUp(t)
  t.equal(backend.set('a', entry('value')), undefined, 'a set of synchronous tiers is synchronous too')
  t.equal(textOf(backend.get('a') as StoredEntry), 'value')
  t.same(far.get.calls, [])
  t.equal(backend.delete('a'), undefined)
  t.equal(backend.get('a'), undefined)
})

t.test('tiered: an entry of a far tier is copied to all nearer ones, synchronously if the tiers are synchronous', async (t) => {
  const { backend, entry, held, chaos: [near, middle, far] } = await tieredSetUp(t, { tiers: [new Chaos(), new Chaos(), new Chaos()] })
  held[2]!.set('a', entry('value'))
  t.equal(textOf(backend.get('a') as StoredEntry), 'value')
  for (const tier of held) t.equal(heldIn(tier), 'value')
  t.equal(textOf(backend.get('a') as StoredEntry), 'value')
  t.same([near.get.calls.length, middle.get.calls.length, far!.get.calls.length], [2, 1, 1])
})

t.test('tiered: a hit in a middle tier is copied to the nearest tier only', async (t) => {
  const { held, entry, text, chaos } = await tieredSetUp(t, { tiers: [new Chaos(), new Chaos(), new Chaos()] })
  held[1].set('a', entry('value'))
  t.equal(await text(), 'value')
  t.equal(heldIn(held[0]), 'value')
  t.same(chaos[2]!.set.calls, [])
})

t.test('tiered: a copy lives as long as its entry, and nearTtl at most', async (t) => {
  for (const [nearTtl, leftMs, expectedMs] of [[undefined, 5_000, 1_000], ['2s', 5_000, 2_000], ['10s', 5_000, 5_000]] as const) {
    const { held, entry, text, clock } = await tieredSetUp(t, nearTtl === undefined ? {} : { nearTtl })
    held[1].set('a', entry('value', 10_000))
    await clock.pass(10_000 - leftMs)
    await text()
    t.equal(held[0].get('a')?.expiresAt, clock.now() + expectedMs, `nearTtl ${nearTtl}`)
  }
})

t.test('tiered: without nearTtl a copy lives as long as its entry if the last tier is memory, which no other process shares',
  async (t) => {
    const clock = testClock()
    const near = mapBackend(clock.now)
    const registry = builtIns().add('near' as 'file', () => defineBackend({ name: 'near', create: () => near }))
    const backend = await registry.open({ backend: 'tiered', options: { tiers: [{ backend: 'near' as 'file' }, { backend: 'memory' }] } }, {
      now: clock.now, isStamp: () => true
    })
    t.teardown(() => backend.close())
    await backend.set('a', { value: Buffer.from('value'), expiresAt: clock.now() + 5_000 })
    t.equal(near.get('a')?.expiresAt, clock.now() + 5_000)
  })

t.test("tiered: a copy of a tag's stamp lives for a second at most, whatever nearTtl is", async (t) => {
  for (const [nearTtl, expectedMs] of [['1h', 1_000], ['250ms', 250]] as const) {
    const { backend, held, entry, text, clock } = await tieredSetUp(t, { nearTtl, isStamp: (key) => key === 'stamp' })
    held[1].set('stamp', entry('read'))
    await text('stamp')
    t.equal(held[0].get('stamp')!.expiresAt - clock.now(), expectedMs)
    await backend.set('stamp', entry('written'))
    t.equal(held[0].get('stamp')!.expiresAt - clock.now(), expectedMs)
  }
})

t.test('tiered: a set stores entries for nearTtl at most in nearer tiers, and for their whole lifetime in the last', async (t) => {
  const { backend, held, entry, clock } = await tieredSetUp(t, { nearTtl: '2s' })
  await backend.set('a', entry('value', 5_000))
  await backend.set('b', entry('value', 1_000))
  t.same(held.map((tier) => tier.get('a')!.expiresAt - clock.now()), [2_000, 5_000])
  t.same(held.map((tier) => tier.get('b')!.expiresAt - clock.now()), [1_000, 1_000])
})

t.test('tiered: no tier keeps an entry longer than the last one does, for any lifetimes, caps and clock steps', async () => {
  const life = fc.integer({ min: -10, max: 20_000 })
  const step = fc.oneof(
    fc.record({ set: fc.constantFrom('a', 'b'), lifeMs: fc.oneof(life, fc.double({ min: 1, max: 9_000, noNaN: true })) }),
    fc.record({ far: fc.constantFrom('a', 'b'), lifeMs: life }),
    fc.record({ get: fc.constantFrom('a', 'b') }),
    fc.record({ deleteNear: fc.constantFrom('a', 'b') }),
    fc.record({ pass: fc.integer({ min: 1, max: 8_000 }) }))
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.option(fc.integer({ min: 1, max: 15_000 })), async (steps, nearTtlMs) => {
      const clock = testClock()
      const [near, far] = [mapBackend(clock.now), mapBackend(clock.now)]
      const registry = builtIns().add('near' as 'memory', () => defineBackend({ name: 'near', create: () => near })).add('far' as 'memory',
        () => defineBackend({ name: 'far', create: () => far }))
      const options: TieredOptions = {
        tiers: [{ backend: 'near' as 'memory' }, { backend: 'far' as 'memory' }], ...(nearTtlMs !== null && { nearTtl: `${nearTtlMs}ms` })
      }
      const backend = await registry.open({ backend: 'tiered', options }, { now: clock.now })
      const entry = (lifeMs: number): StoredEntry => ({ value: Buffer.from('value'), expiresAt: clock.now() + lifeMs })
      try {
        for (const one of steps) {
          if ('set' in one) await backend.set(one.set, entry(one.lifeMs))
          // Another process changes only the last tier, and only to entries that live longer. (The test of two processes below covers
          // the rest.)
          if ('far' in one && clock.now() + one.lifeMs >= (far.get(one.far)?.expiresAt ?? 0)) far.set(one.far, entry(one.lifeMs))
          if ('deleteNear' in one) near.delete(one.deleteNear)
          if ('pass' in one) await clock.pass(one.pass)
          if ('get' in one) {
            const hit = await backend.get(one.get)
            if (hit !== undefined && hit.expiresAt <= clock.now()) return false
            if ((hit === undefined) !== (far.get(one.get) === undefined)) return false
          }
          for (const key of ['a', 'b']) {
            const copy = near.get(key)
            if (copy === undefined) continue
            if (copy.expiresAt > (far.get(key)?.expiresAt ?? -Infinity)) return false
            if (nearTtlMs !== null && copy.expiresAt > clock.now() + nearTtlMs) return false
          }
        }
        return true
      } finally {
        await backend.close()
      }
    }), { numRuns: 300 })
})

t.test('tiered: a set of an expired entry removes the previous one from every tier', async (t) => {
  const { backend, entry, held, text } = await tieredSetUp(t)
  await backend.set('a', entry('old'))
  await backend.set('a', entry('new', 0))
  t.equal(await text(), undefined)
  for (const tier of held) t.equal(heldIn(tier), undefined)
})

t.test('tiered: a copy does not keep alive the larger buffer that contained it', async (t) => {
  const { backend, held, chaos: [, far], entry } = await tieredSetUp(t)
  held[1].set('a', entry('value'))
  far.get.mangle(({ value, expiresAt }) => ({ value: Buffer.concat([value, Buffer.alloc(65_536)]).subarray(0, value.length), expiresAt }))
  const hit = await backend.get('a')
  t.equal(textOf(hit), 'value')
  t.equal(hit!.value.buffer.byteLength, 5)
})

t.test('tiered: getMany calls each tier once for the missing keys, and copies', async (t) => {
  const { backend, entry, held, chaos: [near, far] } = await tieredSetUp(t)
  await backend.set('a', entry('1'))
  for (const key of ['b', 'c']) held[1].set(key, entry(key))
  const found = await backend.getMany!(['c', 'none', 'a', 'b', 'c'])
  t.same(found.map(textOf), ['c', undefined, '1', 'b', 'c'])
  t.same([near.getMany.calls, far.getMany.calls], [[['c', 'none', 'a', 'b']], [['c', 'none', 'b']]])
  t.equal(heldIn(held[0], 'b'), 'b')
})

t.test('tiered: the backend has exactly the optional methods that its tiers allow', async (t) => {
  const [some, none, all] = [['get', 'set', 'delete', 'close', 'has', 'size'], ['get', 'set', 'delete', 'close'], undefined] as const
  const powers = async (...methods: ReadonlyArray<readonly string[] | undefined>) => {
    const tiers = methods.map((names) => new Chaos(names === undefined ? {} : { methods: names as ReadonlyArray<keyof CacheBackend> }))
    return powersOf((await tieredSetUp(t, { tiers })).backend)
  }
  t.same(await powers(all, all), ['has', 'clear', 'keys', 'size', 'stats', 'getMany'])
  t.same(await powers(all, none), [])
  t.same(await powers(none, all), ['keys', 'size', 'stats', 'getMany'])
  t.same(await powers(all, some), ['has', 'size'])
  t.same(await powers(some, all, all), ['has', 'keys', 'size', 'stats', 'getMany'])
})

t.test('tiered: close runs once, and every later call fails with CACHE_ERR_CLOSED', async (t) => {
  const { backend, entry, chaos } = await tieredSetUp(t)
  await Promise.all([backend.close(), backend.close()])
  await backend.close()
  for (const tier of chaos) t.equal(tier.close.calls.length, 1)
  const calls: Array<() => unknown> = [
    () => backend.get('a'), () => backend.set('a', entry('value')), () => backend.delete('a'), () => backend.has!('a'),
    () => backend.clear!(), () => backend.keys!(), () => backend.size!(), () => backend.stats!(), () => backend.getMany!(['a'])
  ]
  for (const call of calls) await t.rejects((async () => await call())(), { code: 'CACHE_ERR_CLOSED' })
})

t.test('tiered: an entry that one process changed is served by another\'s memory for nearTtl at most', needs('redis-server'),
  async (t) => {
    const { url } = await startServer(t)
    const clock = testClock()
    const open = async () => await builtIns().open(
      { backend: 'tiered', options: { tiers: [{ backend: 'memory' }, { backend: 'redis', options: { url } }], nearTtl: '10s' } },
      { now: clock.now })
    const [one, other] = [await open(), await open()]
    t.teardown(async () => await Promise.all([one.close(), other.close()]))
    const textUnder = async (backend: CacheBackend, key: string) => Buffer.from((await backend.get(key))?.value ?? []).toString()
    const entry = (text: string): StoredEntry => ({ value: Buffer.from(text), expiresAt: clock.now() + 60_000 })
    for (const key of ['changed', 'deleted']) await one.set(key, entry('old'))
    for (const key of ['changed', 'deleted']) t.equal(await textUnder(other, key), 'old')
    await one.set('changed', entry('new'))
    await one.delete('deleted')
    t.same([await textUnder(one, 'changed'), await textUnder(one, 'deleted')], ['new', ''], 'at once in the process that changed it')
    await clock.pass(9_999)
    t.same([await textUnder(other, 'changed'), await textUnder(other, 'deleted')], ['old', 'old'],
      'without a near tier this test would prove nothing')
    await clock.pass(1)
    t.same([await textUnder(other, 'changed'), await textUnder(other, 'deleted')], ['new', ''])
  })
