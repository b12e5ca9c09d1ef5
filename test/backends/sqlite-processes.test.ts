// The SQLite backend in several processes: concurrent writes, and processes that end by themselves.
import { join } from 'node:path'
import t from 'tap'
import { runChild } from '../support/child.js'
import { LONGEST_PAUSE_MS, LONGEST_WORK_MS, type LoopStalls } from '../support/loop.js'
import { entry } from '../support/entries.js'
import { openSqlite } from '../support/sqlite.js'
import { newFolder } from '../support/folder.js'

// Processes start slowly on a busy machine.
t.setTimeout(120_000)

const CHILD = 'support/children/sqlite.js'

t.test('sqlite: two processes that write at once meet no error, and neither blocks its event loop', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const ends = await Promise.all(['a', 'b'].map((name) => runChild(CHILD, { args: [path, 'contend', name] })))
  for (const { exitCode, stdout, stderr } of ends) {
    t.equal(exitCode, 0, stderr)
    const { failures, writes, longestWorkMs, longestPauseMs } = JSON.parse(stdout) as { failures: string[], writes: number } & LoopStalls
    t.comment(`${writes} writes, longest work ${longestWorkMs.toFixed(1)} ms, longest pause ${longestPauseMs.toFixed(1)} ms`)
    t.same(failures, [])
    t.ok(writes > 1_000, `${writes} writes`)
    t.ok(longestWorkMs < LONGEST_WORK_MS && longestPauseMs < LONGEST_PAUSE_MS, `the loop was blocked for ${longestWorkMs.toFixed(1)} ms`)
  }
})

t.test('sqlite: a process that closes its cache ends by itself', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { exitCode, stdout } = await runChild(CHILD, { args: [path, 'set and close'], timeoutMs: 10_000 })
  t.equal(exitCode, 0)
  t.equal(stdout.trim(), '', 'the cache has nothing left open')
})

t.test('sqlite: a process that never closes its cache ends by itself, and its sets are stored', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { exitCode } = await runChild(CHILD, { args: [path, 'set and leave'], timeoutMs: 10_000 })
  t.equal(exitCode, 0)
  const { backend } = await openSqlite(t, { path })
  t.equal(backend.has('key'), true)
  await backend.set('other', entry('value', Infinity))
})

t.test('sqlite: closing during a cleanup keeps the process alive until the close is done', async (t) => {
  const { exitCode, stdout, stderr } = await runChild(CHILD, { args: [join(newFolder(t), 'cache.db'), 'close beside a cleanup'] })
  t.same({ exitCode, stdout, stderr }, { exitCode: 0, stdout: '20000 true\n', stderr: '' })
})
