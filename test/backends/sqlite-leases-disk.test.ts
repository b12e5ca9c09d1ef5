// Claims and settlements of the SQLite backend on a full disk and with a full log: refused at most, while entries are still read.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { CacheBackend } from '../../registry/backend.js'
import { isRefusal } from '../../registry/refusal.js'
import { fillDisk, needsMount, smallDisk } from '../support/disk.js'
import { entry, failureOf } from '../support/entries.js'
import { newFolder } from '../support/folder.js'
import { beside, openSqlite } from '../support/sqlite.js'

t.setTimeout(120_000)

const BODY_BYTES = 3_000
const FILLER_BYTES = 4_096
const LEASE = { leaseMs: 60_000, fillMs: 60_000 }

/** Claims a key and settles it with an entry. Returns 'stored', 'not stored', 'refused', or the error. */
async function fill (backend: Required<CacheBackend>, key: string, bytes = BODY_BYTES): Promise<string> {
  try {
    const { token } = await backend.claim(key, LEASE) as { token: string }
    return await backend.settle(key, token, { entry: { value: Buffer.alloc(bytes), expiresAt: 4e12 } }) ? 'stored' : 'not stored'
  } catch (error) {
    return isRefusal(error) ? 'refused' : String(error)
  }
}

async function fillWaves (backend: Required<CacheBackend>, waves: number): Promise<string[]> {
  const outcomes: string[] = []
  for (let wave = 0; wave < waves; wave++) {
    outcomes.push(...await Promise.all(Array.from({ length: 20 }, (_, at) => fill(backend, `${wave}-${at}`))))
  }
  return outcomes
}

/** How often each outcome occurs. */
function counted (outcomes: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1
  return counts
}

t.test('sqlite: on a disk that the cache itself filled, claims and settlements go on', { skip: needsMount }, async (t) => {
  const path = join(smallDisk(t, 'size=8m'), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  const outcomes = await fillWaves(backend, 400)
  t.comment(counted(outcomes))
  t.same(counted(outcomes.slice(-1_000)), { stored: 1_000 })
  t.equal(await fill(backend, 'last'), 'stored')
  t.equal((await backend.get('last'))?.value.byteLength, BODY_BYTES)
})

t.test('sqlite: on a disk that others filled, claims and settlements are refused, and go on once there is room', { skip: needsMount },
  async (t) => {
    const disk = smallDisk(t, 'size=2m')
    const path = join(disk, 'cache.db')
    const { backend } = await openSqlite(t, { path })
    t.equal(await fill(backend, 'there'), 'stored')
    const fillers = fillDisk(disk) / FILLER_BYTES
    const outcomes = [...await fillWaves(backend, 10), await fill(backend, 'large', 1_500_000)]
    t.comment(counted(outcomes))
    const { stored = 0, 'not stored': voided = 0, refused = 0, ...others } = counted(outcomes)
    t.same(others, {})
    t.ok(refused > 0 && stored + voided + refused === outcomes.length)
    t.ok(await backend.get('there'), 'a small file is not deleted to make room')
    for (let at = 0; at < fillers; at++) rmSync(join(disk, `filler-${at}`))
    t.equal(await fill(backend, 'new'), 'stored')
  })

t.test('sqlite: while the log can not be emptied, claims and settlements are refused, and entries are read', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path, maxBytes: 8 * 1024 * 1024 })
  const { token } = await backend.claim('before', LEASE) as { token: string }
  const other = beside(t, path)
  other.exec('BEGIN')
  other.prepare('SELECT count(*) FROM cache_entries').get()
  const outcomes = await fillWaves(backend, 1_000)
  t.comment(counted(outcomes))
  t.equal(outcomes.at(-1), 'refused')
  const failure = await failureOf(() => backend.claim('key', LEASE))
  t.ok(isRefusal(failure))
  t.match(failure, { code: 'CACHE_ERR_BACKEND_FAILED', message: 'another process keeps a read transaction on the file open' })
  t.ok(isRefusal(await failureOf(() => backend.settle('before', token, { entry: entry('value') }))))
  t.equal(await backend.get('before'), undefined)
  // Earlier ones may have been evicted.
  const last = outcomes.lastIndexOf('stored')
  t.equal((await backend.get(`${Math.floor(last / 20)}-${last % 20}`))?.value.byteLength, BODY_BYTES)
})
