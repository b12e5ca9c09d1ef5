// The file backend among processes: killed while they write, writing beside one another.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { runChild } from '../support/child.js'
import { asideIn, entry, openFiles, textAt } from '../support/files.js'

// Ten processes have to start, on a machine that may be busy.
t.setTimeout(120_000)

const CHILD = 'support/children/file.ts'
const LARGE_BYTES = 8_000_000
const KEYS = 4

interface Writer {
  readonly process: ChildProcess
  /** The last round that was acknowledged. */
  acknowledged: number
}

function startWriter (dir: string, name: string): Writer {
  const script = fileURLToPath(new URL(`../${CHILD}`, import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv, script, dir, 'write until killed', name], { stdio: ['ignore', 'pipe', 'inherit'] })
  const writer: Writer = { process: child, acknowledged: -1 }
  child.stdout!.on('data', (chunk: Buffer) => { writer.acknowledged = Number(chunk.toString().trimEnd().split('\n').at(-1)) })
  return writer
}

t.test('A01: after 10 kills with SIGKILL nothing is torn, nothing acknowledged is lost, and what was begun is removed', async (t) => {
  const dir = join(t.testdir(), 'cache')
  const acknowledged = new Map<string, number>()
  for (let round = 0; round < 5; round++) {
    await Promise.all([`a${round}`, `b${round}`].map(async (name) => {
      const writer = startWriter(dir, name)
      await once(writer.process.stdout!, 'data')
      await wait(20 + Math.random() * 60)
      writer.process.kill('SIGKILL')
      await once(writer.process, 'close')
      acknowledged.set(name, writer.acknowledged)
    }))
  }
  const left = asideIn(dir).length
  const at = Date.now() + 61_000
  const { backend, cleanup } = await openFiles(t, { dir }, { now: () => at, pass: async () => {} })
  let large = 0
  for (let key = 0; key < KEYS; key++) {
    const found = await backend.get(`large-${key}`)
    if (found === undefined) continue
    large++
    t.ok(Buffer.alloc(LARGE_BYTES, found.value[0]).equals(found.value), `large-${key} is whole`)
  }
  t.equal((await backend.stats()).damagedFiles, 0)
  for (const [name, last] of acknowledged) {
    for (let round = 0; round <= last; round++) t.equal(await textAt(backend, `${name}-${round}`), name)
  }
  await cleanup()
  t.same(asideIn(dir), [])
  t.comment(`${left} files had been begun, ${large} of ${KEYS} large entries are there`)
  await backend.set('large-0', entry('value'))
  t.equal(await textAt(backend, 'large-0'), 'value')
})

t.test('A04: two processes that write one key and three that read it meet no error, and nobody reads a mixture', async (t) => {
  const dir = join(t.testdir(), 'cache')
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
