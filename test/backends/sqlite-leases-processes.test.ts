// Leases of the SQLite backend between processes, threads and connections: who gets a token, and what a dead or stopped holder leaves.
import { join } from 'node:path'
import t from 'tap'
import type { CacheBackend, Claim, ClaimOptions } from '../../registry/backend.js'
import { until } from '../support/barrier.js'
import { entry, textAt } from '../support/entries.js'
import { newFolder } from '../support/folder.js'
import { needs } from '../support/programs.js'
import { WallClock } from '../support/served.js'
import { startPeer, startWorker } from '../support/sqlite-peer.js'
import { openSqlite } from '../support/sqlite.js'

// Processes start slowly on a busy machine.
t.setTimeout(120_000)

const KEYS = 1_000
const LONG: ClaimOptions = { leaseMs: 60_000, fillMs: 60_000 }
const SHORT: ClaimOptions = { leaseMs: 300, fillMs: 60_000 }
const MINUTE_MS = 60_000

t.test(`sqlite: of four processes and a thread that claim ${KEYS} keys at once, exactly one gets the token of each`, async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const peers = await Promise.all([...Array.from({ length: 4 }, () => startPeer(t, path)), startWorker(t, path)])
  const won = await Promise.all(peers.map((peer) => peer.call('race', KEYS))) as string[][]
  t.comment(won.map(({ length }) => length).join())
  t.equal(won.flat().length, KEYS)
  t.equal(new Set(won.flat()).size, KEYS)
  const { backend } = await openSqlite(t, { path })
  t.match(backend.claim('key-7', LONG), { busyMs: Number })
  t.equal(await backend.size(), 0)
})

t.test('sqlite: a lease of a process that was killed ends by itself', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const peer = await startPeer(t, path)
  const { backend } = await openSqlite(t, { path })
  t.match(await peer.call('claim', 'key', SHORT), { token: String })
  const { busyMs } = await backend.claim('key', SHORT) as { busyMs: number }
  t.ok(busyMs > 0 && busyMs <= 300)
  peer.kill('SIGKILL')
  let claim: Claim | undefined
  await until(async () => 'token' in (claim = await backend.claim('key', SHORT)))
  t.equal(await backend.settle('key', (claim as { token: string }).token, { entry: entry('value') }), true)
})

t.test('sqlite: a process that was stopped for longer than its lease stores only if nobody stored or deleted meanwhile', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const peer = await startPeer(t, path)
  const { backend } = await openSqlite(t, { path })
  const keys = ['untouched', 'stored', 'deleted'] as const
  const tokens: string[] = []
  for (const key of keys) tokens.push((await peer.call('claim', key, SHORT)).token)
  peer.kill('SIGSTOP')
  let claim: Claim | undefined
  await until(async () => 'token' in (claim = await backend.claim('stored', SHORT)))
  t.equal(await backend.settle('stored', (claim as { token: string }).token, { entry: entry('new') }), true)
  await backend.delete('deleted')
  const settles = keys.map((key, at) => peer.call('settle', key, tokens[at], { entry: entry('late', Date.now() + 600 * MINUTE_MS) }))
  peer.kill('SIGCONT')
  t.same(await Promise.all(settles), [true, false, false])
  t.equal(await textAt(backend, 'stored'), 'new')
  t.equal(await backend.get('deleted'), undefined)
})

t.test('sqlite: a version that several processes raise is never the same twice', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const peers = await Promise.all(Array.from({ length: 3 }, () => startPeer(t, path)))
  const raises = peers.flatMap((peer) => Array.from({ length: 50 }, () => peer.call('version', 'tags', true)))
  const raised = await Promise.all(raises) as number[]
  t.equal(new Set(raised).size, 150)
  t.equal(await peers[0]!.call('version', 'tags'), Math.max(...raised))
})

t.test('sqlite: two connections of one process share leases, entries and versions, whatever their clocks show', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend: one } = await openSqlite(t, { path }, { now: () => Date.now() })
  const { backend: two } = await openSqlite(t, { path }, { now: () => Date.now() + 10 * MINUTE_MS })
  const { token } = await one.claim('key', LONG) as { token: string }
  t.match(two.claim('key', LONG), { busyMs: Number })
  t.strictSame(await two.claim('key', { ...LONG, token }), { token }, 'a token is valid in all of them')
  t.equal(await two.settle('key', token, { entry: entry('value') }), true)
  t.match(one.claim('key', LONG), { entry: { value: Buffer.from('value') } })
  const number = one.version('tags', true) as number
  t.equal(two.version('tags'), number)
  const next = await one.claim('other', LONG) as { token: string }
  await two.clear()
  t.equal(await one.settle('other', next.token, { entry: entry('old') }), false)
})

t.test('sqlite: a process whose wall clock is ten minutes ahead waits for a lease like any other', { ...needs('faketime') }, async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  const wall = new WallClock(join(newFolder(t), 'ahead'))
  wall.set(600)
  const peer = await startPeer(t, path, wall.env)
  t.ok('token' in await backend.claim('key', LONG))
  t.match(await peer.call('claim', 'key', LONG), { busyMs: Number })
})

t.test('sqlite: what was written elsewhere a moment ago is read after a claim found an entry, and after a settlement', async (t) => {
  const options = { path: join(newFolder(t), 'cache.db') }
  const [here, there] = [await openSqlite(t, options), await openSqlite(t, options)].map(({ backend }) => backend as Required<CacheBackend>)
  const { token } = await here!.claim('claimed', LONG) as { token: string }
  for (const [name, act] of [
    ['found', async () => t.match(await here!.claim('entry', LONG), { entry: {} })],
    ['settled', async () => t.equal(await here!.settle('claimed', token, { entry: entry('mine') }), true)]
  ] as const) {
    await there!.set('entry', entry('entry'))
    await there!.set('stamp', entry('old'))
    for (let times = 0; times < 2; times++) t.equal(await textAt(here!, 'stamp'), 'old')
    const at = performance.now()
    const clock = t.capture(performance, 'now', () => at)
    t.equal(await textAt(here!, 'stamp'), 'old')
    await there!.set('stamp', entry('new'))
    t.equal(await textAt(here!, 'stamp'), 'old', 'a read notices it within a millisecond')
    await act()
    t.equal(await textAt(here!, 'stamp'), 'new', name)
    clock.restore()
  }
})
