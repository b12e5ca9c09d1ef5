// The built-in backends as subjects of the kit, with the levers that their stores have.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { builtIns } from '../../backends/index.js'
import type { BackendChoice } from '../../registry/names.js'
import { conformance, faults, museum, type ConformanceCase, type ConformanceSubject } from '../kit/index.js'
import { testClock } from './clock.js'
import { filesIn } from './files.js'
import { freePort } from '../../benchmarks/backends/free-port.js'
import { newServer } from './redis-server.js'

/** What is left to be run of a backend that passes the cases without levers elsewhere. */
export const leverCases: readonly ConformanceCase[] = [...conformance.filter(({ levers }) => levers !== undefined), ...faults, ...museum]

/** Without what takes several processes, where no process can tear another's values. */
export const remoteCases = leverCases.filter(({ levers = [] }) => !levers.includes('program') || levers.length === 1)

/** Far enough for a busy machine, nearer than the kit's own patience. */
const TIMEOUT_MS = 1_500

const MODULE = new URL('./children/open.ts', import.meta.url)

/** Opens one choice after another; the last one may be opened again, beside itself, and elsewhere. */
function choosing (next: () => BackendChoice): ConformanceSubject {
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

export function fileSubject (t: Test): ConformanceSubject {
  const folder = newFolder(t)
  let [opened, dir] = [0, '']
  return {
    ...choosing(() => {
      dir = join(folder, String(opened++))
      return { backend: 'file', options: { dir } }
    }),
    footprint: () => filesIn(dir).length,
    garble () {
      for (const path of filesIn(dir)) damage(path)
      return mended
    }
  }
}

/** Memory before files: what is in memory is not shared, and not damaged. */
export function tieredSubject (t: Test): ConformanceSubject {
  const folder = newFolder(t)
  let [opened, dir] = [0, '']
  const { share, ...subject } = choosing(() => {
    dir = join(folder, String(opened++))
    return { backend: 'tiered', options: { tiers: [{ backend: 'memory' }, { backend: 'file', options: { dir } }] } }
  })
  return {
    ...subject,
    footprint: () => filesIn(dir).length,
    garble () {
      for (const path of filesIn(dir)) damage(path)
      return mended
    }
  }
}

export function sqliteSubject (t: Test): ConformanceSubject {
  const folder = newFolder(t)
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
    // Another process that writes, and doesn't come to an end.
    hang () {
      const other = new Database(path, { timeout: 0 })
      other.exec('BEGIN IMMEDIATE')
      return () => { other.close() }
    },
    garble () {
      // The first page is left, so that it is a database at first sight.
      damage(path, 4_096)
      return mended
    }
  }
}

export async function redisSubject (t: Test): Promise<ConformanceSubject> {
  const port = await freePort()
  const server = await (await newServer(t, { port })).start()
  let [opened, prefix] = [0, '']
  const subject = choosing(() => {
    prefix = `${opened++}:`
    return { backend: 'redis', options: { connection: { host: '127.0.0.1', port, commandTimeout: TIMEOUT_MS, connectTimeout: TIMEOUT_MS }, prefix } }
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
    hang () {
      server.stop()
      return () => { server.goOn() }
    },
    async fail () {
      await server.kill()
      return async () => { await server.start() }
    },
    async garble () {
      for (const key of await keys()) await server.admin.set(key, 'garbage')
      return mended
    },
    async kill () {
      await server.kill()
      await server.start()
    }
  }
}
