// The SQLite backend on its disk: full, limited, and given back when it is no longer needed.
import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { CacheBackend } from '../../registry/backend.js'
import { until } from '../support/barrier.js'
import { runChild } from '../support/child.js'
import { testClock } from '../support/clock.js'
import { fillDisk, limitFileSize, needsMount, needsPrlimit, needsShell, smallDisk } from '../support/disk.js'
import { entry, failureOf, textAt } from '../support/entries.js'
import { beside, openSqlite } from '../support/sqlite.js'
import { newFolder } from '../support/folder.js'

t.setTimeout(120_000)

const CHILD = 'support/children/sqlite.js'
const MINUTE_MS = 60_000

/** The size of the file and its log in bytes, as the file system counts them. */
function diskBytes (path: string): number {
  return [path, `${path}-wal`].reduce((sum, each) => sum + (statSync(each, { throwIfNoEntry: false })?.size ?? 0), 0)
}

t.test('sqlite: after most entries have expired the next cleanup shrinks the file and its log', async (t) => {
  const clock = testClock()
  const path = join(newFolder(t), 'cache.db')
  const { backend, cleanup } = await openSqlite(t, { path }, clock)
  for (let at = 0; at < 12_000; at++) {
    backend.set(`key-${at}`, { value: Buffer.alloc(3_300, at), expiresAt: clock.now() + (at % 4 === 0 ? 1_000 : 1) * MINUTE_MS })
    if (at % 1_000 === 0) await backend.size()
  }
  await backend.size()
  const before = diskBytes(path)
  await clock.pass(MINUTE_MS)
  await cleanup()
  t.equal(await backend.size(), 3_000)
  const { usedBytes } = await backend.stats()
  t.comment(`${before} bytes on disk before, ${diskBytes(path)} after, ${usedBytes} in use`)
  t.ok(diskBytes(path) < usedBytes! * 1.1)
})

const BODY_BYTES = 3_000

/** Sets many entries, some at a time, as concurrent fills do. Returns the outcome of each set. */
async function fillWaves (backend: CacheBackend, waves: number): Promise<string[]> {
  const outcomes: string[] = []
  for (let wave = 0; wave < waves; wave++) {
    const sets = Array.from({ length: 20 }, (_, at) =>
      backend.set(`${wave}-${at}`, { value: Buffer.alloc(BODY_BYTES, wave), expiresAt: Infinity }))
    outcomes.push(...(await Promise.allSettled(sets)).map(({ status }) => status))
  }
  return outcomes
}

t.test('sqlite: on a disk that the cache itself filled, new entries are stored, and deletes and clears take effect',
  { skip: needsMount }, async (t) => {
    const path = join(smallDisk(t, 'size=8m'), 'cache.db')
    const { backend, warnings, cleanup } = await openSqlite(t, { path })
    const outcomes = await fillWaves(backend, 400)
    t.comment(
      `${outcomes.filter((one) => one === 'rejected').length} of ${outcomes.length} sets were refused, ${warnings.length} warnings, ${await backend.size()} entries on ${diskBytes(path)} bytes`)
    t.equal(outcomes.slice(-1_000).filter((one) => one === 'rejected').length, 0)
    t.equal((await backend.get('399-0'))?.value[0], 399 % 256)
    t.ok(await backend.size() > 300, 'a good part of the disk is used')
    const other = beside(t, path)
    await backend.delete('399-0')
    t.equal(other.prepare('SELECT count(*) FROM cache_entries WHERE key = ?').pluck().get('399-0'), 0)
    other.close()
    await cleanup()
    await backend.clear()
    t.equal(await backend.size(), 0)
    t.ok(warnings.length <= 1)
  })

t.test('sqlite: a limit that was met is not tried again soon, and room that becomes free later is used',
  { skip: needsPrlimit }, async (t) => {
    const clock = testClock()
    const path = join(newFolder(t), 'cache.db')
    const { backend, cleanup } = await openSqlite(t, { path }, clock)
    const allowAgain = limitFileSize(4 * 1024 * 1024)
    await fillWaves(backend, 200)
    const inode = statSync(path).ino
    const before = await backend.size()
    const passHours = async (hours: number): Promise<void> => {
      for (let minute = 0; minute < hours * 60; minute += 5) {
        await clock.pass(5 * MINUTE_MS)
        await cleanup()
        t.notOk((await fillWaves(backend, 20)).includes('rejected'))
      }
    }
    await passHours(0.9)
    allowAgain()
    t.equal(statSync(path).ino, inode, 'the file was not replaced')
    t.ok(await backend.size() <= before)
    await passHours(2)
    await fillWaves(backend, 200)
    t.ok(await backend.size() > before * 1.5)
  })

t.test('sqlite: below a limit on file sizes new entries are stored, and deletes and clears take effect', { skip: needsShell },
  async (t) => {
    const path = join(newFolder(t), 'cache.db')
    const { stdout, stderr, ...end } = await runChild(CHILD, {
      args: [path, 'fill'], under: ['sh', '-c', 'ulimit -f 8192; exec "$@"', 'sh']
    })
    const { refused, ...rest } = JSON.parse(stdout || JSON.stringify({ stderr, ...end })) as { refused: number }
    t.comment(`${refused} of 8000 sets were refused`)
    t.same(rest, { last: 'stored', deleted: 'nothing', gone: true, cleared: 'nothing', left: 0 })
    t.ok(refused < 400)
  })

t.test('sqlite: during another\'s read transaction the log is bounded, sets are refused, deletes take effect, and sets resume later',
  async (t) => {
    const MAX_BYTES = 8 * 1024 * 1024
    // A log up to this size is left as it is.
    const MAX_LOG_BYTES = 16 * 1024 * 1024
    const path = join(newFolder(t), 'cache.db')
    const { backend } = await openSqlite(t, { path, maxBytes: MAX_BYTES })
    await fillWaves(backend, 1)
    const other = beside(t, path)
    other.exec('BEGIN')
    other.prepare('SELECT count(*) FROM cache_entries').get()
    const outcomes = await fillWaves(backend, 1_000)
    t.comment(
      `${outcomes.filter((one) => one === 'rejected').length} of ${outcomes.length} sets were refused, ${diskBytes(path)} bytes on disk`)
    t.equal(outcomes.at(-1), 'rejected')
    t.ok(diskBytes(path) < MAX_BYTES * 2 + MAX_LOG_BYTES * 1.5, 'file and log together')
    t.match(await failureOf(() => backend.set('key', entry('value', Infinity))), {
      message: 'another process keeps a read transaction on the file open'
    })
    const [key] = await backend.keys('*-0') as [string]
    await backend.delete(key)
    t.equal(await backend.get(key), undefined)
    await backend.clear()
    t.equal(await backend.size(), 0)
    other.exec('COMMIT')
    await until(async () => await failureOf(async () => await backend.set('key', entry('value', Infinity))) === undefined)
    t.equal(await textAt(backend, 'key'), 'value')
    t.ok(diskBytes(path) < MAX_BYTES * 2 + MAX_LOG_BYTES)
  })

t.test('sqlite: on a disk that others filled a set is refused, an invalidation holds, and sets resume once there is room',
  { skip: needsMount }, async (t) => {
    const disk = smallDisk(t, 'size=2m')
    const path = join(disk, 'cache.db')
    const { backend } = await openSqlite(t, { path })
    await fillWaves(backend, 5)
    fillDisk(disk)
    const refused = await failureOf(() => backend.set('large', { value: Buffer.alloc(1_500_000), expiresAt: Infinity }))
    t.match(refused, { code: /^SQLITE_(FULL|IOERR_WRITE)$/ })
    fillDisk(disk)
    await failureOf(async () => await backend.set('key', entry('old', Infinity)))
    await backend.delete('key')
    t.equal(await backend.get('key'), undefined)
    await backend.clear('0-')
    t.equal(await backend.get('0-0'), undefined)
    for (let at = 0; at < 100; at++) rmSync(join(disk, `filler-${at}`), { force: true })
    await backend.set('key', entry('new', Infinity))
    t.equal(await textAt(backend, 'key'), 'new')
  })
