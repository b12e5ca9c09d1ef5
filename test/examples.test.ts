// The example behind `npm start`, as built: its table, its end, its refusals. Run in processes of its own.
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { freePort } from '../benchmarks/backends/free-port.js'
import { newServer, startServer, until } from './support/redis-server.js'
import { needs } from './support/programs.js'
import { someOf } from './support/size.js'
import { root } from './support/sources.js'

const SERVER = fileURLToPath(new URL('../examples/packages/server.js', import.meta.url))
const NAMES = ['fastify', '@fastify/error']
const PACKAGES = ['/packages', '/licenses', '/packages/fastify', '/packages/@fastify/error']

const folder = mkdtempSync(join(tmpdir(), 'example-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

// A project of two packages, because scanning our own takes seconds each time.
for (const name of NAMES) cpSync(join(root, 'node_modules', name), join(folder, 'project', 'node_modules', name), { recursive: true })

function start ({ file = 'packages.db', port = '0', args = [] as string[], env = {} as Record<string, string> } = {}) {
  const child = spawn(process.execPath, [SERVER, ...args], {
    env: {
      PATH: process.env.PATH,
      PORT: port,
      PROJECT: join(folder, 'project'),
      SQLITE_PATH: join(folder, file),
      CACHE_DIR: join(folder, 'files'),
      ...env
    },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  let errors = ''
  let seen = (): void => {}
  child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text; seen() })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { errors += text })
  const ended = new Promise<{ exitCode: number | null, signal: string | null, output: string, errors: string }>((resolve) => {
    child.on('close', (exitCode, signal) => resolve({ exitCode, signal, output, errors }))
  })
  return {
    child,
    ended,
    /** Resolves when the output contains `text`, or has ended. */
    async printed (text: string): Promise<string> {
      await Promise.race([ended, new Promise<void>((resolve) => { (seen = () => { if (output.includes(text)) resolve() })() })])
      return output
    }
  }
}

/** The rows of the table as `path outcome`, round by round. */
function rounds (output: string): string[][] {
  return output.split(/^ +-{20,}$/m).slice(1).map((round) =>
    [
      ...round.matchAll(/^ {3}GET (\S+) +\d+ +(HIT|MISS|STALE|NO CACHE) +[\d.]+ {3}fastify-response-cache; /gm)
    ].map(([, path, outcome]) => `${path} ${outcome}`))
}

const all = (outcome: string): string[] => PACKAGES.map((path) => `${path} ${outcome}`)

const TABLE = [
  all('MISS'),
  all('HIT'),
  [...all('MISS').slice(0, 3), '/packages/@fastify/error HIT'],
  ['/packages/no-such-package MISS'],
  [...all('HIT'), '/packages/no-such-package MISS']
]

t.test('example: --once prints the table and ends with exit code 0, also a second time on the same database', async (t) => {
  for (const earlier of [/The cache is empty/, /held \d+ entries of an earlier run/]) {
    const { exitCode, output, errors } = await start({ args: ['--once'] }).ended
    t.equal(exitCode, 0)
    t.equal(errors, '')
    t.match(output, earlier)
    t.same(rounds(output), TABLE)
    t.match(output, /Everything was as expected/)
  }
})

const LOST: typeof TABLE = [...TABLE.slice(0, 4), [...all('MISS'), '/packages/no-such-package MISS']]

t.test('example: the other backends give the same table, and a description of each', needs('redis-server'), async (t) => {
  const { url } = await startServer(t)
  const kinds: Array<[env: Record<string, string>, table: typeof TABLE, title: RegExp, reopened: RegExp]> = [
    [{ CACHE_BACKEND: 'memory' }, LOST, /cached in memory$/m, /Memory has kept nothing/],
    [{ CACHE_BACKEND: 'file' }, TABLE, /cached in files: .*files$/m, /The files have kept the responses/],
    [{ CACHE_BACKEND: 'redis', REDIS_URL: url }, TABLE, /cached in Redis: redis:/, /Redis has kept the responses/],
    [{ CACHE_BACKEND: 'tiered' }, TABLE, /cached in memory, and behind it in SQLite: .*tiered\.db$/m, /SQLite has kept the responses/],
    [{ CACHE_BACKEND: 'tiered', REDIS_URL: url, CACHE_NAMESPACE: 'tiered' }, TABLE, /cached in memory, and behind it in Redis: redis:/,
      /Redis has kept the responses/]
  ]
  for (const [env, table, title, reopened] of kinds) {
    const { exitCode, output, errors } = await start({ args: ['--once'], file: 'tiered.db', env }).ended
    t.same({ exitCode, errors }, { exitCode: 0, errors: '' }, title.source)
    t.same(rounds(output), table)
    t.match(output, title)
    t.match(output, reopened)
    t.match(output, /Everything was as expected/)
  }
})

t.test('example: without its Redis it reports that, still serves, and caches once Redis is up', needs('redis-server'), async (t) => {
  const port = await freePort()
  const { child, ended, printed } = start({ env: { CACHE_BACKEND: 'redis', REDIS_URL: `redis://:secret@127.0.0.1:${port}` } })
  const url = /Serving at (\S+)/.exec(await printed('Serving at'))?.[1]
  const ask = async () => await fetch(`${url}/packages/fastify`, { headers: { connection: 'close' } })
  t.equal((await ask()).status, 200)
  await (await newServer(t, { port, args: ['--requirepass', 'secret'] })).start()
  await until('responses come from Redis', async () => /; hit/.test((await ask()).headers.get('cache-status') ?? ''))
  child.kill('SIGTERM')
  const { exitCode, output, errors } = await ended
  t.match(output, /The cache is unavailable: .*ECONNREFUSED/)
  t.same(rounds(output), [], 'no table is shown')
  t.equal(exitCode, 1)
  t.notMatch(output + errors, /secret/)
})

t.test('example: serves real packages under both spellings of a scoped name, and ends cleanly on a signal', async (t) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const { child, ended, printed } = start({ file: `${signal}.db` })
    const url = /Serving at (\S+)/.exec(await printed('Serving at'))?.[1]
    const ask = async (path: string, method = 'GET') => await fetch(`${url}${path}`, { method, headers: { connection: 'close' } })
    const response = await ask('/packages/@fastify%2Ferror')
    t.equal((await response.json() as { name: string }).name, '@fastify/error')
    t.match(response.headers.get('cache-status'), /fwd=miss; stored/)
    t.has(await (await ask('/packages/@fastify/error/touch', 'POST')).json(), { invalidated: ['package:@fastify/error', 'packages'] })
    for (const path of ['/packages/@fastify/error', '/packages/@fastify%2Ferror']) {
      t.match((await ask(path)).headers.get('cache-status'), /fwd=miss/, path)
    }
    t.equal((await ask('/packages/no-such-package/touch', 'POST')).status, 404)
    child.kill(signal)
    const end = await ended
    t.equal(end.exitCode, 0)
    t.equal(end.signal, null)
    t.equal(end.errors, '')
    t.match(end.output, `${signal}: closed.`)
  }
})

t.test('example: a signal during the demonstration ends it cleanly', async (t) => {
  const { child, ended, printed } = start({ file: 'early.db' })
  await printed('1. First requests')
  child.kill('SIGINT')
  const { exitCode, errors } = await ended
  t.equal(exitCode, 0)
  t.equal(errors, '')
})

t.test('example: a port that is in use or invalid is refused in one sentence, with exit code 1', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await new Promise((resolve) => other.once('listening', resolve))
  const taken = String((other.address() as AddressInfo).port)
  const refusals: Array<[Parameters<typeof start>[0], RegExp]> = [
    [{ port: taken }, /^Port \d+ is in use\. .+\n$/],
    [{ port: '70000' }, /^PORT must be .+\n$/],
    [{ port: 'http' }, /^PORT must be .+\n$/],
    [{ env: { PROJECT: join(folder, 'nowhere') } }, /^PROJECT must be a folder with a node_modules, got .+\n$/],
    [{ args: ['--twice'] }, /^The only argument is --once.+\n$/],
    [{ env: { CACHE_BACKEND: 'http' } }, /^CACHE_BACKEND must be one of sqlite, redis, file, tiered, memory, .+\n$/],
    [{ env: { CACHE_BACKEND: 'redis' } }, /REDIS_URL.+\n$/],
    [{ env: { CACHE_BACKEND: 'redis', REDIS_URL: 'http://:secret@127.0.0.1' } }, /^(?!.*secret).*REDIS_URL.+\n$/]
  ]
  for (const [settings, sentence] of someOf(refusals)) {
    const { exitCode, errors } = await start(settings).ended
    t.equal(exitCode, 1)
    t.match(errors, sentence)
  }
})
