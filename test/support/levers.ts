// The built-in backends as subjects of the kit, with the levers that their stores have.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { builtIns } from '../../backends/index.js'
import type { CacheBackend } from '../../registry/backend.js'
import type { BackendChoice } from '../../registry/names.js'
import { conformance, faults, museum, type ConformanceCase, type ConformanceSubject } from '../kit/index.js'
import { testClock } from './clock.js'
import { smallDisk, takeRoom } from './disk.js'
import { filesIn } from './files.js'
import { freePort } from '../../benchmarks/backends/free-port.js'
import { startRelay } from './redis-relay.js'
import { newServer, type RedisServer } from './redis-server.js'
import { leversOf } from './server-levers.js'
import { slowRenames } from './slow-store.js'

/** The remaining cases for a backend that passes the cases without levers elsewhere. */
export const leverCases: readonly ConformanceCase[] = [...conformance.filter(({ levers }) => levers !== undefined), ...faults, ...museum]

/** The cases without those that need several processes, for backends whose values no process can tear. */
export const remoteCases = leverCases.filter(({ levers = [] }) => !levers.includes('program') || levers.length === 1)

/** Long enough for a busy machine, and shorter than the kit's own timeouts. */
const TIMEOUT_MS = 1_500

const MODULE = new URL('./children/open.js', import.meta.url)

/** The cases about a small disk. */
export const roomCases = leverCases.filter(({ levers = [] }) => levers.includes('fill') || levers.includes('cramped'))

/** The cases about a store whose entries are all removed. */
export const removeCases = leverCases.filter(({ levers = [] }) => levers.includes('remove'))

/** The cases about a slow store. */
export const slowCases = leverCases.filter(({ levers = [] }) => levers.includes('slow'))

/** Opens one choice after another. The last one can be reopened, opened twice, and opened in another process. */
export function choosing (next: () => BackendChoice): ConformanceSubject {
  const clock = testClock()
  let choice: BackendChoice
  const again = () => builtIns().open(choice, { now: clock.now })
  return {
    ...clock,
    open () {
      choice = next()
      return again()
    },
    reopen: again,
    share: again,
    program: { module: MODULE, where: () => JSON.stringify(choice) }
  }
}

export function memorySubject (): ConformanceSubject {
  const { reopen, share, program, ...subject } = choosing(() => ({ backend: 'memory' }))
  return subject
}

function newFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'levers-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Changes every seventh byte. */
function damage (path: string, fromByte = 0): void {
  const bytes = readFileSync(path)
  for (let at = fromByte; at < bytes.byteLength; at += 7) bytes[at]! ^= 0xff
  writeFileSync(path, bytes)
}

const mended = (): void => {}

/** What the kubelet does with a volume before each start of a pod with `fsGroup`. */
function loosen (path: string): void {
  execFileSync('chmod', ['-R', 'g+rwX', path])
  execFileSync('find', [path, '-type', 'd', '-exec', 'chmod', 'g+s', '{}', '+'])
}

/** Only on systems with users. */
const loosening = (path: () => string): Pick<ConformanceSubject, 'loosen'> =>
  process.geteuid === undefined ? {} : { loosen: () => loosen(path()) }

/** A subject that stores in files, on a disk of 8 MiB that is emptied for each backend. */
export function onSmallDisk (t: Test, subjectIn: (t: Test, folder: string) => ConformanceSubject): ConformanceSubject {
  const disk = smallDisk(t, 'size=8m')
  const folder = join(disk, 'stores')
  const subject = subjectIn(t, folder)
  const open = async (): Promise<CacheBackend> => {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder)
    return await subject.open()
  }
  return { ...subject, open, cramped: open, fill: () => takeRoom(disk) }
}

/** The levers of a folder of the backend `file`. */
function onFiles (dir: () => string): Partial<ConformanceSubject> {
  return {
    footprint: () => filesIn(dir()).length,
    garble () {
      for (const path of filesIn(dir())) damage(path)
      return mended
    },
    remove: () => rmSync(dir(), { recursive: true }),
    ...loosening(dir),
    slow: slowRenames
  }
}

export function fileSubject (t: Test, folder = newFolder(t)): ConformanceSubject {
  let [opened, dir] = [0, '']
  return {
    ...choosing(() => {
      dir = join(folder, String(opened++))
      return { backend: 'file', options: { dir } }
    }),
    ...onFiles(() => dir)
  }
}

/** Memory before files: the memory is neither shared nor damaged. */
export function tieredSubject (t: Test, folder = newFolder(t)): ConformanceSubject {
  let [opened, dir] = [0, '']
  const { share, ...subject } = choosing(() => {
    dir = join(folder, String(opened++))
    return { backend: 'tiered', options: { tiers: [{ backend: 'memory' }, { backend: 'file', options: { dir } }] } }
  })
  return {
    ...subject,
    ...onFiles(() => dir)
  }
}

/** How all entries of a database are removed: with its files, or by another tool. */
const REMOVALS = {
  files: (path: string): void => { for (const rest of ['', '-wal', '-shm']) rmSync(path + rest, { force: true }) },
  table (path: string): void {
    const other = new Database(path)
    other.exec('DROP TABLE cache_entries')
    other.close()
  }
}

export function sqliteSubject (t: Test, folder = newFolder(t), removed: keyof typeof REMOVALS = 'files'): ConformanceSubject {
  let [opened, path] = [0, '']
  return {
    ...choosing(() => {
      path = join(folder, `${opened++}.db`)
      return { backend: 'sqlite', options: { path } }
    }),
    footprint () {
      const beside = new Database(path, { readonly: true })
      try {
        return beside.prepare<[], number>('SELECT count(*) FROM cache_entries').pluck().get()!
      } finally {
        beside.close()
      }
    },
    // Another process whose write does not end.
    hang () {
      const other = new Database(path, { timeout: 0 })
      other.exec('BEGIN IMMEDIATE')
      return () => { other.close() }
    },
    garble () {
      // The first page is kept, so that it looks like a database.
      damage(path, 4_096)
      return mended
    },
    remove: () => REMOVALS[removed](path),
    ...loosening(() => dirname(path))
  }
}

/** The delay of responses from a server far away. */
export const FAR_MS = 50

/** A subject whose store is slow from the start. */
export const farAway = (subject: ConformanceSubject): ConformanceSubject => ({ ...subject, slow: () => mended })

export async function farRedisSubject (t: Test): Promise<ConformanceSubject> {
  const server = await (await newServer(t, { port: await freePort() })).start()
  const { port } = await startRelay(t, server, FAR_MS)
  let opened = 0
  return farAway(choosing(() => ({ backend: 'redis', options: { url: `redis://127.0.0.1:${port}`, prefix: `${opened++}:` } })))
}

function leversOfRedis (server: RedisServer): Partial<ConformanceSubject> {
  return {
    ...leversOf(server),
    async remove () { await server.admin.flushall() },
    async fill () {
      await server.admin.config('SET', 'maxmemory', '1mb')
      return async () => { await server.admin.config('SET', 'maxmemory', '0') }
    }
  }
}

export async function redisSubject (t: Test): Promise<ConformanceSubject> {
  const port = await freePort()
  const server = await (await newServer(t, { port })).start()
  let [opened, prefix] = [0, '']
  const subject = choosing(() => {
    prefix = `${opened++}:`
    return {
      backend: 'redis', options: { connection: { host: '127.0.0.1', port, commandTimeout: TIMEOUT_MS, connectTimeout: TIMEOUT_MS }, prefix }
    }
  })
  const keys = async (): Promise<string[]> => await server.admin.keys(`${prefix}*`)
  return {
    ...subject,
    async lend () {
      const client = new Redis({ port, host: '127.0.0.1' })
      await client.ping()
      const backend = await builtIns().open({ backend: 'redis', options: { client, prefix: `${opened++}:` } }, { now: subject.now })
      return { backend, isOpen: async () => await client.ping() === 'PONG', release () { client.disconnect() } }
    },
    footprint: async () => (await keys()).length,
    async garble () {
      for (const key of await keys()) await server.admin.set(key, 'garbage')
      return mended
    },
    ...leversOfRedis(server),
    async cramped () {
      const small = await (await newServer(t, { port: await freePort() })).start()
      await small.admin.config('SET', 'maxmemory', '8mb')
      await small.admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
      return await builtIns().open({ backend: 'redis', options: { url: small.url } }, { now: subject.now })
    }
  }
}
