// The file backend in several processes: killed while they write, and writing at the same time.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import type { CacheBackend } from '../../registry/backend.js'
import { runChild, startBare } from '../support/child.js'
import { entry, textAt } from '../support/entries.js'
import { asideIn, openFiles } from '../support/files.js'
import { newFolder } from '../support/folder.js'
import { isFull } from '../support/size.js'

// Many processes have to start, and the machine may be busy.
t.setTimeout(300_000)

const CHILD = 'support/children/file.js'
const LARGE_BYTES = 8_000_000
const KEYS = 4
const KILLS = isFull ? 50 : 10

/**
 * Waits until a writing process has acknowledged `rounds` rounds, and kills it at some moment of the next, or in the middle of a write.
 * Returns the last round that it acknowledged.
 */
async function killed (child: ChildProcess, rounds: number, { dir, isWriting }: { dir: string, isWriting: boolean }): Promise<number> {
  let said = ''
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => { said += chunk })
  while (said.split('\n').length <= rounds) await once(child.stdout!, 'data')
  if (isWriting) await stopInWrite(child, dir)
  else await wait(20 + Math.random() * 60)
  child.kill('SIGKILL')
  await once(child, 'close')
  // The text after the last line break was cut off.
  return Number(said.split('\n').at(-2) ?? -1)
}

/** Stops the process while it writes a temporary file. Looks for it again then, because only a stopped process is sure to have one. */
async function stopInWrite (child: ChildProcess, dir: string): Promise<void> {
  for (;;) {
    while (asideIn(dir).length === 0) await wait(1)
    child.kill('SIGSTOP')
    if (asideIn(dir).length > 0) return
    child.kill('SIGCONT')
  }
}

/** The byte that fills the large values of a round. */
const letterOf = (round: number): number => 97 + round % 26

/** The byte that fills each large value: -1 if it is torn, undefined if it is missing, as it is in the middle of being replaced. */
async function lettersOf (backend: CacheBackend): Promise<Array<number | undefined>> {
  return await Promise.all(Array.from({ length: KEYS }, async (_, key) => {
    const value = (await backend.get(`large-${key}`))?.value
    if (value === undefined) return undefined
    return Buffer.alloc(LARGE_BYTES, value[0]).equals(value) ? value[0] : -1
  }))
}

t.test(`file: after ${KILLS} kills with SIGKILL nothing is torn or lost, and temporary files are removed`, async (t) => {
  const dir = join(mkdtempSync(join(tmpdir(), 'file-kills-')), 'cache')
  t.teardown(() => { rmSync(dirname(dir), { recursive: true }) })
  const wrong: string[] = []
  const counts = { large: 0, acknowledged: 0, begun: 0 }
  let held: Array<number | undefined> = []
  for (let kill = 0; kill < KILLS; kill++) {
    const name = `a${kill}`
    // The large values of a round are complete when the next round is acknowledged.
    const last = await killed(startBare(CHILD, dir, 'write until killed', name), 1 + kill % 2, { dir, isWriting: kill % 4 < 2 })
    const begun = asideIn(dir).length
    counts.begun += begun
    const { backend, cleanup } = await openFiles(t, { dir }, { now: () => Date.now() + 61_000, pass: async () => {} })
    for (let at = 0; at <= last; at++, counts.acknowledged++) {
      if (await textAt(backend, `${name}-${at}`) !== name) wrong.push(`${name}-${at} is lost`)
    }
    const before = held
    held = await lettersOf(backend)
    // A value that is now missing was being replaced by one of the temporary files.
    const gone = held.filter((letter, key) => letter === undefined && (last > 0 || before[key] !== undefined)).length
    if (gone > begun) wrong.push(`${name}: ${gone} large values are gone, ${begun} were begun`)
    for (const [key, letter] of held.entries()) {
      if (letter === undefined) continue
      counts.large++
      // The round before the last one was acknowledged as a whole. If another process wrote it, its values are unchanged.
      if (letter !== letterOf(last) && letter !== (last > 0 ? letterOf(last - 1) : before[key])) {
        wrong.push(`${name}: large-${key} holds ${letter} after round ${last}`)
      }
    }
    await cleanup()
    if (asideIn(dir).length > 0) wrong.push(`${name}: a temporary file is left`)
    if ((await backend.stats()).damagedFiles !== 0) wrong.push(`${name}: a file was damaged`)
    await backend.close()
  }
  t.same(wrong, [])
  t.comment(JSON.stringify(counts))
  t.ok(counts.begun > 0, 'some were killed in the middle of a write')
  t.ok(counts.large > 0, `${counts.large} large entries were there`)
  t.ok(counts.acknowledged >= KILLS)
  const { backend } = await openFiles(t, { dir })
  await backend.set('large-0', entry('value'))
  t.equal(await textAt(backend, 'large-0'), 'value')
})

t.test('file: two processes that write one key and three that read it meet no error, and no read returns a mixture', async (t) => {
  const dir = join(newFolder(t), 'cache')
  const ends = await Promise.all(['a', 'b', 'reader'].map((name) => runChild(CHILD, { args: [dir, 'contend', name] })))
  for (const { exitCode, stdout, stderr } of ends) {
    t.equal(exitCode, 0, stderr)
    const { failures, ...counts } = JSON.parse(stdout) as { failures: string[], writes: number, hits: number, torn: number }
    t.comment(JSON.stringify(counts))
    t.same(failures, [])
    t.equal(counts.torn, 0)
    t.ok(counts.hits > 0)
  }
  t.same(asideIn(dir), [])
})

t.test('file: a set that waits for a cleanup under way keeps the process alive until it is done', async (t) => {
  const { exitCode, stdout, stderr } = await runChild(CHILD, { args: [join(newFolder(t), 'cache'), 'set beside cleanups', 'a'] })
  t.same({ exitCode, stdout, stderr }, { exitCode: 0, stdout: '"done"\n', stderr: '' })
})
