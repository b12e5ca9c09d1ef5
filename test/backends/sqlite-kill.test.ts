// The SQLite backend's file after its processes were killed while they wrote.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { beside, openSqlite } from '../support/sqlite.js'
import { newFolder } from '../support/folder.js'

// Ten processes have to start, and the machine may be busy.
t.setTimeout(120_000)

interface Writer {
  readonly process: ChildProcess
  /** How many of its sets were acknowledged. */
  acknowledged: number
}

function startWriter (path: string, name: string): Writer {
  const script = fileURLToPath(new URL('../support/children/sqlite.js', import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv, script, path, 'write until killed', name], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const writer: Writer = { process: child, acknowledged: 0 }
  let text = ''
  child.stdout!.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    const lines = text.split('\n')
    text = lines.pop()!
    writer.acknowledged = Number(lines.at(-1) ?? writer.acknowledged)
  })
  return writer
}

t.test('sqlite: after 10 kills with SIGKILL the file is sound and no acknowledged entry is lost', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const expected = new Map<string, number>()
  for (let round = 0; round < 5; round++) {
    const writers = [`a${round}`, `b${round}`].map((name) => [name, startWriter(path, name)] as const)
    await Promise.all(writers.map(async ([name, writer]) => {
      await once(writer.process.stdout!, 'data')
      await wait(20 + Math.random() * 100)
      writer.process.kill('SIGKILL')
      await once(writer.process, 'close')
      expected.set(name, writer.acknowledged)
    }))
  }
  const { backend, warnings } = await openSqlite(t, { path })
  let lost = 0
  let acknowledged = 0
  for (const [name, count] of expected) {
    for (let at = 0; at < count; at++) {
      acknowledged++
      const found = await backend.get(`${name}-${at}`)
      if (found === undefined || !Buffer.alloc(1_200, name).equals(found.value)) lost++
    }
  }
  t.ok(acknowledged > 1_000, `${acknowledged} sets were acknowledged`)
  t.equal(lost, 0)
  t.same(warnings, [])
  t.equal(beside(t, path).pragma('integrity_check', { simple: true }), 'ok')
})
