// What the SQLite backend takes of a disk: how it gives back what it no longer needs.
import { statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { testClock } from '../support/clock.js'
import { openSqlite } from '../support/sqlite.js'

t.setTimeout(120_000)

const MINUTE_MS = 60_000

/** Bytes of the file and of the log beside it, as the file system counts them. */
function diskBytes (path: string): number {
  return [path, `${path}-wal`].reduce((sum, each) => sum + (statSync(each, { throwIfNoEntry: false })?.size ?? 0), 0)
}

t.test('sqlite: after most entries have expired the next cleanup gives their room back to the disk, and that of the log', async (t) => {
  const clock = testClock()
  const path = join(t.testdir(), 'cache.db')
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
