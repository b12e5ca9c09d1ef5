// The contestants of the benchmark: six built-in backends and the raw driver below each of them. Also contains the targets.
import type { Operation } from '../core/bench.js'
import type { SubjectChoice } from '../core/subject.js'
import type { BackendSource } from '../core/opened.js'
import type { RawOptions } from './raw.js'

/** One row of the report. */
export interface Contestant {
  readonly name: string
  readonly title: string
  /** The name of the row with which this row is compared. */
  readonly beside?: string
  /** The target for reads per second, as a ratio to the reads of the row with which this row is compared. */
  readonly leastGetRatio?: number
  /** The target for writes per second. */
  readonly leastSetsPerSecond?: number
}

export const CONTESTANTS: readonly Contestant[] = [
  { name: 'map', title: 'Map' },
  { name: 'lru-cache', title: 'lru-cache' },
  { name: 'memory', title: "backend 'memory'", beside: 'lru-cache', leastGetRatio: 0.5 },
  { name: 'better-sqlite3', title: 'better-sqlite3' },
  { name: 'sqlite', title: "backend 'sqlite'", beside: 'better-sqlite3', leastGetRatio: 0.8, leastSetsPerSecond: 40_000 },
  { name: 'fs', title: 'fs: open, read, close; temporary file, rename' },
  { name: 'file', title: "backend 'file'", beside: 'fs', leastGetRatio: 0.9 },
  { name: 'ioredis', title: 'ioredis, auto-pipelined getBuffer' },
  { name: 'redis', title: "backend 'redis'", beside: 'ioredis', leastGetRatio: 0.9 },
  { name: 'undici', title: 'undici, a pool of 100' },
  { name: 'http', title: "backend 'http'", beside: 'undici', leastGetRatio: 0.8 },
  { name: 'tiered', title: "backend 'tiered', memory before SQLite", beside: 'memory' }
]

/** The operations that are measured. */
export const MEASURED: readonly Operation[] = ['get', 'set']

/** Returns the contestants with these names, and those with which they are compared. Returns all if no names are given. */
export function chosen (names: readonly string[]): readonly Contestant[] {
  const unknown = names.find((name) => !CONTESTANTS.some((one) => one.name === name))
  if (unknown !== undefined) throw new Error(`'${unknown}' is none of ${CONTESTANTS.map(({ name }) => name).join(', ')}`)
  const wanted = new Set(names)
  // The loop also visits rows that it has added itself, because they may be compared with other rows.
  for (const name of wanted) for (const one of CONTESTANTS) if (one.name === name && one.beside !== undefined) wanted.add(one.beside)
  return CONTESTANTS.filter(({ name }) => names.length === 0 || wanted.has(name))
}

/** The servers and the folder that contestants use. */
export interface Places {
  readonly redisUrl: string
  readonly httpUrl: string
  /** A folder that only this contestant uses. */
  readonly folder: string
}

const ROOM_BYTES = 256 * 1024 * 1024

const OPTIONS: Readonly<Record<string, (places: Places) => object>> = {
  memory: () => ({ maxBytes: ROOM_BYTES }),
  sqlite: ({ folder }) => ({ path: `${folder}/cache.db` }),
  file: ({ folder }) => ({ dir: `${folder}/entries` }),
  redis: ({ redisUrl }) => ({ url: redisUrl }),
  http: ({ httpUrl }) => ({ baseUrl: httpUrl }),
  tiered: ({ folder }) => ({
    tiers: [{ backend: 'memory', options: { maxBytes: ROOM_BYTES } }, { backend: 'sqlite', options: { path: `${folder}/cache.db` } }]
  })
}

/** Returns how to open a contestant in its child process. */
export function choiceOf (name: string, places: Places): SubjectChoice {
  const options = OPTIONS[name]
  if (options === undefined) {
    return { moduleUrl: import.meta.resolve('./raw.js'), options: { driver: name as RawOptions['driver'], ...places } satisfies RawOptions }
  }
  return {
    moduleUrl: import.meta.resolve('../core/opened.js'), options: { backend: name, options: options(places) } satisfies BackendSource
  }
}
