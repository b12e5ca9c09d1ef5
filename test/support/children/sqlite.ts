// A process that uses a SQLite file in the way of its second argument. Arguments: path, way, name of the process.
import { writeSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { builtIns } from '../../../backends/index.js'
import { watchLoop } from '../loop.js'
import { isFull } from '../size.js'

const [path = '', way = '', name = ''] = process.argv.slice(2)
let aheadMs = 0
const cache = await builtIns().open({ backend: 'sqlite', options: { path, cleanupInterval: '100ms' } }, { now: () => Date.now() + aheadMs })
const value = Buffer.alloc(1_200, name)
const AT_ONCE = 20
const HOUR_MS = 3_600_000
const WRITING_MS = isFull ? 5_000 : 2_500

/** Sets `name-0`, `name-1`, ... until killed, and prints how many are acknowledged. */
async function writeUntilKilled (): Promise<void> {
  for (let next = 0; ; next += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, at) => cache.set(`${name}-${next + at}`, { value, expiresAt: Infinity })))
    writeSync(1, `${next + AT_ONCE}\n`)
  }
}

/** Writes and reads for some seconds beside other processes. Prints failures, and how long the event loop was blocked. */
async function contend (): Promise<void> {
  const failures: string[] = []
  let writes = 0
  const tell = (error: unknown) => { failures.push(String(error)) }
  await wait(500)
  const ended = watchLoop()
  const endsAt = performance.now() + WRITING_MS
  while (performance.now() < endsAt) {
    await Promise.all(Array.from({ length: AT_ONCE }, async (_, at) => {
      await cache.set(`${at % 2 === 0 ? name : 'shared'}-${writes + at}`, { value, expiresAt: Date.now() + 1_000 })
      await cache.get(`shared-${writes + at}`)
    }).map((done) => done.catch(tell)))
    writes += AT_ONCE
    await wait(1)
  }
  console.log(JSON.stringify({ failures, writes, ...await ended() }))
  await cache.close()
}

/** Sets more than fits, deletes and clears, and prints the outcomes. */
async function fill (): Promise<void> {
  // Node.js ignores this signal, which the system sends if a file grows too large. With the tests' loader it would end the process.
  process.on('SIGXFSZ', () => {})
  const large = Buffer.alloc(3_000, name)
  const outcome = async (act: () => unknown): Promise<string> => {
    try {
      await act()
      return 'nothing'
    } catch (error) {
      return String(error)
    }
  }
  let refused = 0
  for (let wave = 0; wave < 400; wave++) {
    const sets = Array.from({ length: AT_ONCE }, (_, at) => cache.set(`${wave}-${at}`, { value: large, expiresAt: Infinity }))
    refused += (await Promise.allSettled(sets)).filter(({ status }) => status === 'rejected').length
  }
  const last = await cache.get('399-0') === undefined ? 'missing' : 'stored'
  const deleted = await outcome(() => cache.delete('399-0'))
  const gone = await cache.get('399-0') === undefined
  const cleared = await outcome(() => cache.clear?.())
  console.log(JSON.stringify({ refused, last, deleted, gone, cleared, left: await cache.size?.() }))
  await cache.close()
}

const WAYS: Record<string, () => unknown> = {
  'write until killed': writeUntilKilled,
  contend,
  fill,
  async 'set and close' () {
    await cache.set('key', { value, expiresAt: Infinity })
    await cache.close()
    console.log(process.getActiveResourcesInfo().filter((kind) => kind !== 'PipeWrap' && kind !== 'TTYWrap').join())
  },
  /** Closes when a cleanup has removed some of the expired rows, but not all. */
  async 'close beside a cleanup' () {
    const expiresAt = Date.now() + HOUR_MS
    for (let wave = 0; wave < 200; wave++) {
      await Promise.all(Array.from({ length: 100 }, (_, at) => cache.set(`${wave}-${at}`, { value, expiresAt })))
    }
    const { entries } = await cache.stats!()
    aheadMs = HOUR_MS
    while ((await cache.stats!()).entries === entries) await wait(1)
    const { entries: left = 0 } = await cache.stats!()
    await cache.close()
    console.log(entries, left > 0)
  },
  'set and leave' () {
    cache.set('key', { value, expiresAt: Infinity })
  }
}

await WAYS[way]!()
