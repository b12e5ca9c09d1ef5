// Several processes whose applications share a store, all sent the same requests at once.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startServer } from '../support/redis-server.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

const PROCESSES = 4

t.test(
  'each of four processes runs the handler at most once for 50 concurrent requests for one key, on a shared file, folder and Redis',
  { timeout: 120_000 }, async (t) => {
    const { url } = await startServer(t)
    const folder = t.testdir({})
    const choices = [
      { backend: 'sqlite', options: { path: join(folder, 'cache.db') } },
      { backend: 'file', options: { dir: join(folder, 'cache') } },
      { backend: 'redis', options: { url } }
    ]
    const script = fileURLToPath(new URL('../support/children/same-key.js', import.meta.url))
    const children = Array.from({ length: PROCESSES }, () => {
      const child = spawn(process.execPath, [...process.execArgv, script, JSON.stringify(choices)], { stdio: ['pipe', 'pipe', 'inherit'] })
      t.teardown(() => child.kill('SIGKILL'))
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
      return { go: () => child.stdin.write('go\n'), line: async () => String((await lines.next()).value) }
    })
    const all = async <T>(each: (child: typeof children[number]) => T | Promise<T>): Promise<T[]> => await Promise.all(children.map(each))
    for (const { backend } of choices) {
      t.same(await all((child) => child.line()), children.map(() => 'ready'))
      await all((child) => child.go())
      const reports = (await all((child) => child.line())).map((line) =>
        JSON.parse(line) as { runs: number, right: number, status: string })
      t.ok(reports.every(({ runs }) => runs <= 1), `${backend}: ${reports.map(({ runs }) => runs).join()} runs`)
      t.ok(reports.every(({ right }) => right === 50), backend)
      t.ok(reports.every(({ status }) => /; hit/.test(status)), backend)
      await all((child) => child.go())
    }
  })
