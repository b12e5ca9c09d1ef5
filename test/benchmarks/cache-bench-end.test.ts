// cache-bench: what happens when it is stopped or killed during a run.
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import Database from 'better-sqlite3'
import t from 'tap'
import { benchFolder, startBench } from '../support/cache-bench.js'

/** Waits until the first round runs. */
async function measuring (run: ReturnType<typeof startBench>): Promise<void> {
  while (!/operations, round 1 .*sqlite/.test(run.stderr())) await wait(20)
}

for (const [what, signal, toAll, exitCode] of [
  ['Ctrl-C, which reaches all its processes,', 'SIGINT', true, 130],
  ['SIGTERM to the main process only', 'SIGTERM', false, 143]
] as const) {
  t.test(`cache-bench: ${what} ends it at once, and nothing is left behind`, async (t) => {
    const folder = benchFolder(t)
    const path = join(folder, 'named.db')
    const run = startBench(t, [
      '--seconds', '20', '--entries', '64', '--backend', 'file', '--backend', 'sqlite', '--options', JSON.stringify({ path })
    ], folder)
    await measuring(run)
    process.kill(toAll ? -run.pid : run.pid, signal)
    const ended = await run.ended
    t.equal(ended.exitCode, exitCode, ended.stderr)
    t.match(ended.stderr, `cache-bench: stopped by ${signal}, nothing was left behind`)
    await run.groupEnded()
    t.same(run.leftovers(), [])
    const database = new Database(path)
    t.equal(database.prepare('SELECT count(*) FROM cache_entries').pluck().get(), 0)
    database.close()
  })
}

t.test('cache-bench: when the main process is killed, its child processes end, and their folders are removed', async (t) => {
  const run = startBench(t, ['--seconds', '20', '--entries', '64', '--backend', 'file', '--backend', 'sqlite'])
  await measuring(run)
  t.equal(run.leftovers().length, 1)
  process.kill(run.pid, 'SIGKILL')
  await run.groupEnded()
  t.same(run.leftovers(), [])
})
