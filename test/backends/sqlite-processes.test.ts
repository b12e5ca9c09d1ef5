// The SQLite backend among processes: writing beside others, ending by itself.
import { join } from 'node:path'
import t from 'tap'
import { runChild } from '../support/child.js'
import { entry, openSqlite } from '../support/sqlite.js'

const CHILD = 'support/children/sqlite.ts'
const LONGEST_STALL_MS = 50
// A single delay may be the machine's: tests run side by side. What is looked for here, a wait for a lock, takes seconds.
const LONGEST_PAUSE_MS = 250

t.test('A26: two processes that write at once meet no error, and neither keeps its loop', async (t) => {
  const path = join(t.testdir(), 'cache.db')
  const ends = await Promise.all(['a', 'b'].map((name) => runChild(CHILD, { args: [path, 'contend', name] })))
  for (const { exitCode, stdout, stderr } of ends) {
    t.equal(exitCode, 0, stderr)
    const { failures, writes, p99Ms, maxMs } = JSON.parse(stdout) as { failures: string[], writes: number, p99Ms: number, maxMs: number }
    t.comment(`${writes} writes, loop delay p99 ${p99Ms.toFixed(1)} ms, max ${maxMs.toFixed(1)} ms`)
    t.same(failures, [])
    t.ok(writes > 1_000, `${writes} writes`)
    t.ok(p99Ms < LONGEST_STALL_MS && maxMs < LONGEST_PAUSE_MS, `the loop was kept for ${maxMs.toFixed(1)} ms at most`)
  }
})

t.test('D08: a process that closes its cache ends by itself', async (t) => {
  const path = join(t.testdir(), 'cache.db')
  const { exitCode, stdout } = await runChild(CHILD, { args: [path, 'set and close'], timeoutMs: 10_000 })
  t.equal(exitCode, 0)
  t.equal(stdout.trim(), '', 'nothing of the cache is left')
})

t.test('D09: a process that never closes its cache ends by itself, and what it set is kept', async (t) => {
  const path = join(t.testdir(), 'cache.db')
  const { exitCode } = await runChild(CHILD, { args: [path, 'set and leave'], timeoutMs: 10_000 })
  t.equal(exitCode, 0)
  const { backend } = await openSqlite(t, { path })
  t.equal(backend.has('key'), true)
  await backend.set('other', entry('value', Infinity))
})
