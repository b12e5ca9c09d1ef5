// The backend that the kit's child processes open. `where` is a way, correct or broken, and a folder.
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { builtIns } from '../../../backends/index.js'
import { mapBackend } from '../map-backend.js'
import type { CacheBackend, Claim, ClaimOptions, Settlement } from '../../../registry/backend.js'
import { WRITTEN } from '../../kit/child.js'

const HEAD_BYTES = 8
const HALFWAY_MS = 5
// Longer than any wait before a process is killed, also on a busy machine.
const UNTIL_KILLED_MS = 60_000
const SMALL_BYTES = 1_000
const LATE_MS = 400

const nameOf = (key: string): string => Buffer.from(key).toString('hex')

/** Stores each entry in a file with `write`. */
function files (dir: string, write: (path: string, bytes: Buffer) => unknown): CacheBackend {
  mkdirSync(dir, { recursive: true })
  return {
    get (key) {
      try {
        const bytes = readFileSync(join(dir, nameOf(key)))
        return { value: bytes.subarray(HEAD_BYTES), expiresAt: bytes.readDoubleBE() }
      } catch {
        return undefined
      }
    },
    async set (key, { value, expiresAt }) {
      const head = Buffer.alloc(HEAD_BYTES)
      head.writeDoubleBE(expiresAt)
      await write(join(dir, nameOf(key)), Buffer.concat([head, value]))
    },
    delete (key) { rmSync(join(dir, nameOf(key)), { force: true }) },
    close () {}
  }
}

const inHalves = (dir: string, pauseMs: number): CacheBackend => files(dir, async (path, bytes) => {
  if (bytes.byteLength > SMALL_BYTES) {
    writeFileSync(path, bytes.subarray(0, bytes.byteLength >> 1))
    await wait(pauseMs)
  }
  writeFileSync(path, bytes)
})

/**
 * Is killed half-way through a large value. The kill may come as soon as the small entry before it is set, so the first half of the large
 * value is there by then.
 */
const halved = (dir: string): CacheBackend => files(dir, async (path, bytes) => {
  if (bytes.byteLength > SMALL_BYTES) return await wait(UNTIL_KILLED_MS)
  const half = Buffer.concat([bytes.subarray(0, HEAD_BYTES), Buffer.alloc(WRITTEN.bytes >> 1)])
  writeFileSync(join(dir, nameOf(WRITTEN.keys[0] as string)), half)
  writeFileSync(path, bytes)
})

/**
 * Adds claim and settle for processes that take turns. What is claimed is in files in `dir`. `endsAt` is when a lease ends.
 */
function leased (backend: CacheBackend, dir: string, endsAt = (leaseMs: number) => Date.now() + leaseMs): CacheBackend {
  mkdirSync(dir, { recursive: true })
  const pathOf = (key: string): string => join(dir, nameOf(key))
  const tokenOf = (key: string): string | undefined => existsSync(pathOf(key)) ? readFileSync(pathOf(key), 'utf8') : undefined
  return Object.assign(backend, {
    claim (key: string, { leaseMs }: ClaimOptions): Claim {
      const busyMs = Number(tokenOf(key)?.split(' ')[0] ?? 0) - Date.now()
      if (busyMs > 0) return { busyMs }
      const token = `${endsAt(leaseMs)} ${randomUUID()}`
      writeFileSync(pathOf(key), token)
      return { token }
    },
    async settle (key: string, token: string, { entry }: Settlement): Promise<boolean> {
      if (tokenOf(key) !== token) return false
      rmSync(pathOf(key))
      if (entry !== undefined) await backend.set(key, entry)
      return entry !== undefined
    }
  })
}

const onFiles = async (dir: string): Promise<CacheBackend> => await builtIns().open({ backend: 'file', options: { dir } })

const WAYS: Record<string, (dir: string) => CacheBackend | Promise<CacheBackend>> = {
  correct: async (dir) => leased(await onFiles(dir), `${dir} leases`),
  endless: async (dir) => leased(await onFiles(dir), `${dir} leases`, () => Infinity),
  alive (dir) {
    setInterval(() => {}, 1_000)
    return files(dir, writeFileSync)
  },
  torn: (dir) => inHalves(dir, HALFWAY_MS),
  halved,
  late: (dir) => files(dir, (path, bytes) => { setTimeout(() => writeFileSync(path, bytes), LATE_MS) }),
  alone: () => mapBackend(Date.now)
}

/** `where`: the way, a space, a folder. */
export async function open (where: string): Promise<CacheBackend> {
  const [way = '', ...dir] = where.split(' ')
  return await WAYS[way]!(dir.join(' '))
}
