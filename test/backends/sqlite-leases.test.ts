// Claims, settlements and versions of the SQLite backend: the rules of the contract, on every kind of database.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Driver } from '../../backends/sqlite/driver.js'
import { nodeDriver } from '../../backends/sqlite/node-sqlite.js'
import type { CacheBackend, ClaimOptions } from '../../registry/backend.js'
import { testClock } from '../support/clock.js'
import { entry, textAt } from '../support/entries.js'
import { beside, openSqlite } from '../support/sqlite.js'
import { newFolder } from '../support/folder.js'

type Backend = Required<CacheBackend>

interface Opened {
  readonly backend: Backend
  readonly now: () => number
  /** Advances the clock of leases. */
  readonly pass: (ms: number) => void
}

const LEASE: ClaimOptions = { leaseMs: 1_000, fillMs: 60_000 }
const BESIDE: ClaimOptions = { leaseMs: 0, fillMs: 60_000 }

const WAYS: Record<string, (t: Test) => { options: Parameters<typeof openSqlite>[1], driver?: Driver }> = {
  'a file of its own': (t) => ({ options: { path: join(newFolder(t), 'cache.db') } }),
  ':memory:': () => ({ options: { path: ':memory:' } }),
  'a caller-owned database': (t) => ({ options: { database: beside(t, join(newFolder(t), 'app.db')) } }),
  'node:sqlite': (t) => ({ options: { path: join(newFolder(t), 'cache.db') }, driver: nodeDriver() as Driver })
}

async function open (t: Test, way = 'a file of its own'): Promise<Opened> {
  const { options, ...rest } = WAYS[way]!(t)
  const { now } = testClock()
  let at = 5_000_000
  const { backend } = await openSqlite(t, options, { now, leaseNow: () => at, ...rest })
  return { backend, now, pass: (ms) => { at += ms } }
}

function tokenOf (claim: unknown): string {
  const { token } = claim as { token?: string }
  if (token === undefined) throw new Error(`no token, but ${JSON.stringify(claim)}`)
  return token
}

/** Claims that must get a token. */
async function take (backend: Backend, key: string, options = LEASE): Promise<string> {
  return tokenOf(await backend.claim(key, options))
}

function rule (name: string, check: (t: Test, opened: Opened) => Promise<void>): void {
  for (const way of Object.keys(WAYS)) {
    const skip = way === 'node:sqlite' && nodeDriver() === undefined && 'this Node has no node:sqlite'
    t.test(`sqlite: ${name} (${way})`, { skip }, async (t) => await check(t, await open(t, way)))
  }
}

rule('one claim gets the lease, and the others learn for how long it runs, without a promise', async (t, { backend, pass }) => {
  const token = (await backend.claim('key', LEASE) as { token: string }).token
  t.type(token, 'string')
  t.strictSame(backend.claim('key', LEASE), { busyMs: 1_000 })
  t.ok('token' in await backend.claim('other', LEASE), 'another key')
  pass(400)
  t.strictSame(backend.claim('key', LEASE), { busyMs: 600 })
  pass(600)
  const second = await take(backend, 'key')
  t.not(second, token)
  t.equal(await backend.settle('key', token, { entry: entry('first') }), true, 'its token outlives the lease')
  t.equal(await backend.settle('key', second, { entry: entry('second') }), true)
  t.equal(await textAt(backend, 'key'), 'second')
})

rule('a claim returns an entry that the caller has not seen, and leaves one that it has seen readable', async (t, { backend, now }) => {
  const seen = now() + 1_000
  await backend.set('key', entry('old', seen))
  t.match(backend.claim('key', LEASE), { entry: { expiresAt: seen } })
  t.match(backend.claim('key', { ...LEASE, seen: seen - 1 }), { entry: { expiresAt: seen } })
  const token = await take(backend, 'key', { ...LEASE, seen })
  t.equal(await textAt(backend, 'key'), 'old')
  t.strictSame(backend.claim('key', { ...LEASE, seen }), { busyMs: 1_000 })
  t.match(backend.claim('key', LEASE), { entry: { expiresAt: seen } }, 'a lease keeps nobody from an entry')
  t.equal(await backend.settle('key', token, { entry: entry('new') }), true)
  t.match(backend.claim('key', { ...LEASE, seen }), { entry: { value: Buffer.from('new') } })
})

rule('a claim without a lease gets a token beside a lease, and leaves the lease as it is', async (t, { backend }) => {
  await take(backend, 'key')
  const token = await take(backend, 'key', BESIDE)
  t.strictSame(backend.claim('key', LEASE), { busyMs: 1_000 })
  t.equal(await backend.settle('key', token, {}), false)
  t.strictSame(backend.claim('key', LEASE), { busyMs: 1_000 }, 'the lease is not this token\'s')
})

rule('a claim with its own token prolongs the lease while nobody else has it', async (t, { backend, pass }) => {
  const token = await take(backend, 'key')
  pass(900)
  t.strictSame(await backend.claim('key', { ...LEASE, token }), { token })
  t.strictSame(backend.claim('key', LEASE), { busyMs: 1_000 })
  pass(1_500)
  t.strictSame(await backend.claim('key', { ...LEASE, token }), { token }, 'a lease that has ended is taken again')
  pass(1_000)
  const other = await take(backend, 'key')
  t.strictSame(backend.claim('key', { ...LEASE, token }), { busyMs: 1_000 })
  t.strictSame(await backend.claim('key', { ...BESIDE, token }), { token }, 'still valid')
  await backend.delete('key')
  for (const former of [token, other, 'nonsense', '', 'a.1.99999999999999']) {
    t.strictSame(backend.claim('key', { ...LEASE, token: former }), { busyMs: 0 })
  }
  await take(backend, 'key')
  t.strictSame(backend.claim('key', { ...LEASE, token }), { busyMs: 1_000 }, 'the rest of the other\'s lease')
})

rule('a settlement stores once, ends the lease, and a token that is not valid has no effect', async (t, { backend, now }) => {
  const token = await take(backend, 'key')
  for (const unknown of ['nonsense', '', `${token}x`, `x${token}`, token.replace('.1.', '.2.')]) {
    t.equal(await backend.settle('key', unknown, { entry: entry('unknown') }), false)
  }
  t.strictSame(backend.claim('key', LEASE), { busyMs: 1_000 }, 'the lease still runs')
  t.equal(await backend.settle('other', token, { entry: entry('other') }), false, 'a token of another key')
  const expiresAt = now() + 5.5
  t.equal(await backend.settle('key', token, { entry: entry('value', expiresAt) }), true)
  t.strictSame(await backend.get('key'), { value: Buffer.from('value'), expiresAt: Math.floor(expiresAt) })
  t.equal(await backend.settle('key', token, { entry: entry('again') }), false)
  t.equal(await textAt(backend, 'key'), 'value')
  t.ok('token' in await backend.claim('key', { ...LEASE, seen: Math.floor(expiresAt) }))
})

rule('an earlier token stores nothing after a later one, unless it replaces what that has stored', async (t, { backend }) => {
  const [first, second, third] = [await take(backend, 'key'), await take(backend, 'key', BESIDE), await take(backend, 'key', BESIDE)]
  t.equal(await backend.settle('key', third, { entry: entry('third') }), true)
  t.equal(await backend.settle('key', second, { entry: entry('second') }), false)
  t.equal(await textAt(backend, 'key'), 'third')
  const replaces = (await backend.get('key'))!.expiresAt
  t.equal(await backend.settle('key', third, { entry: entry('third'), replaces }), false, 'not twice')
  t.equal(await backend.settle('key', first, { entry: entry('first'), replaces: replaces - 1 }), false)
  t.equal(await backend.settle('key', first, { entry: entry('first'), replaces }), true)
  t.equal(await textAt(backend, 'key'), 'first')
  const [one, two] = [await take(backend, 'both', BESIDE), await take(backend, 'both', BESIDE)]
  const settles = [two, one].map((token) => backend.settle('both', token, { entry: entry(token) }))
  t.same(await Promise.all(settles), [true, false], 'in one batch')
  t.equal(await textAt(backend, 'both'), two)
})

rule('a token can not store after fillMs, and its record dies', async (t, { backend, pass }) => {
  const token = await take(backend, 'key', { leaseMs: 100, fillMs: 500 })
  pass(499)
  const other = await take(backend, 'key', { leaseMs: 100, fillMs: 500 })
  pass(1)
  t.equal(await backend.settle('key', token, { entry: entry('late') }), false)
  t.equal(await backend.settle('key', other, { entry: entry('in time') }), true)
  t.equal(await textAt(backend, 'key'), 'in time')
})

const VOIDING: Record<string, (backend: Backend) => unknown> = {
  set: (backend) => backend.set('ns:key', entry('theirs')),
  'set of an expired entry': (backend) => backend.set('ns:key', entry('theirs', 0)),
  delete: (backend) => backend.delete('ns:key'),
  clear: (backend) => backend.clear(),
  'clear with a prefix': (backend) => backend.clear('ns:')
}

for (const [name, act] of Object.entries(VOIDING)) {
  rule(`${name} makes every token invalid that was given out before`, async (t, { backend }) => {
    const tokens = [await take(backend, 'ns:key'), await take(backend, 'ns:key', BESIDE)]
    const kept = name === 'clear' ? undefined : await take(backend, 'other')
    await act(backend)
    const before = await textAt(backend, 'ns:key')
    const replaces = (await backend.get('ns:key'))?.expiresAt ?? 0
    for (const token of tokens) t.equal(await backend.settle('ns:key', token, { entry: entry('old'), replaces }), false)
    t.equal(await textAt(backend, 'ns:key'), before)
    if (kept !== undefined) t.equal(await backend.settle('other', kept, { entry: entry('value') }), true, 'another key\'s token is valid')
    const { expiresAt: seen } = await backend.get('ns:key') ?? {}
    const token = await take(backend, 'ns:key', { ...LEASE, seen })
    t.equal(await backend.settle('ns:key', token, { entry: entry('new') }), true)
  })
}

rule('tokens of any key are voided by a clear with its prefix, and no others', async (t, { backend }) => {
  const keys = ['a', 'ab', 'b', '', 'a{b}', 'a b', 'a\u0000', '\u0000utf16:a', 'a\ud83d', 'a\ud83d\ude00', '\ud83d', 'é']
  for (const prefix of ['a', '\ud83d', 'a\ud83d', '\u0000']) {
    const tokens = await Promise.all(keys.map(async (key) => await take(backend, key)))
    await backend.clear(prefix)
    for (const [at, key] of keys.entries()) {
      t.equal(await backend.settle(key, tokens[at]!, { entry: entry(key) }), !key.startsWith(prefix), JSON.stringify([prefix, key]))
    }
    await backend.clear()
  }
})

rule('a settlement without an entry gives the lease back, and nobody waits for aloneMs', async (t, { backend, pass }) => {
  const token = await take(backend, 'key')
  t.equal(await backend.settle('key', token, {}), false)
  const second = await take(backend, 'key')
  t.equal(await backend.settle('key', second, { aloneMs: 5_000 }), false)
  const alone = [await take(backend, 'key'), await take(backend, 'key')]
  t.strictSame(await backend.claim('key', { ...LEASE, token: alone[1]! }), { token: alone[1] })
  t.ok('token' in await backend.claim('key', LEASE), 'there is no lease')
  pass(5_000)
  await take(backend, 'key')
  t.strictSame(backend.claim('key', LEASE), { busyMs: 1_000 })
  t.equal(await backend.settle('key', alone[0]!, { entry: entry('value') }), true)
  const [first] = [await take(backend, 'again'), await take(backend, 'again', BESIDE)]
  t.equal(await backend.settle('again', first!, {}), false)
  const next = await take(backend, 'again')
  await backend.settle('again', next, { aloneMs: 500 })
  await take(backend, 'again')
  pass(500)
  t.ok('token' in await backend.claim('again', LEASE), 'the one before got no lease')
})

rule('an entry that has expired is not stored, and the lease is given back', async (t, { backend, now }) => {
  const token = await take(backend, 'key')
  t.equal(await backend.settle('key', token, { entry: entry('value', now()) }), false)
  t.equal(backend.get('key'), undefined)
  await take(backend, 'key')
})

rule('a lease is not an entry', async (t, { backend }) => {
  await take(backend, 'key')
  t.equal(backend.get('key'), undefined)
  t.strictSame(backend.getMany(['key']), [undefined])
  t.equal(backend.has('key'), false)
  t.same(await backend.keys(), [])
  t.equal(await backend.size(), 0)
  t.match(await backend.stats(), { entries: 0, activeEntries: 0, expiredEntries: 0 })
})

rule('a version only grows, also when everything is cleared', async (t, { backend }) => {
  const first = backend.version('tags') as number
  t.ok(first > Date.now() * 1_000 - 60_000_000)
  t.equal(backend.version('tags'), first)
  t.equal(backend.version('tags', true), first + 1)
  t.ok(await backend.version('\ud83d', true) >= first, 'another name')
  await backend.clear()
  t.equal(backend.version('tags'), first + 1)
  t.same([backend.version('tags', true), backend.version('tags')], [first + 2, first + 2])
})

t.test('sqlite: records that have died are removed by the cleanup, and those from before a restart of the machine too', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  let at = 500_000
  const { backend, cleanup } = await openSqlite(t, { path }, { leaseNow: () => at })
  const count = () => beside(t, path).prepare('SELECT count(*) FROM "cache_entries leases"').pluck().get()
  await Promise.all(Array.from({ length: 300 }, async (_, each) =>
    await backend.claim(`${each}`, { leaseMs: 10, fillMs: each % 3 === 0 ? 10_000 : 1_000 })))
  at += 1_000
  await cleanup()
  t.equal(count(), 100)
  const token = await take(backend, 'key')
  t.equal(await backend.settle('key', token, { entry: entry('value') }), true)
  t.equal(count(), 100, 'a record whose only token was settled is not kept')
  const before = await take(backend, 'rebooted')
  at = 100
  const claim = await backend.claim('rebooted', LEASE)
  t.equal(await backend.settle('rebooted', before, { entry: entry('old') }), false)
  t.equal(await backend.settle('rebooted', tokenOf(claim), { entry: entry('new') }), true)
  await cleanup()
  t.equal(count(), 0)
})
