// A process that uses a folder of the file backend, in the way that its second argument names: folder, way, name of the process.
import { readdirSync, writeSync } from 'node:fs'
import { builtIns } from '../../../backends/index.js'

const [dir = '', way = '', name = ''] = process.argv.slice(2)
const openFiles = () => readdirSync('/proc/self/fd').length
const before = process.platform === 'linux' ? openFiles() : 0
const cache = await builtIns().open({ backend: 'file', options: { dir, cleanupInterval: '100ms' } })

/** Tells on standard output, at once, also when killed a moment later. */
const tell = (answer: unknown): void => { writeSync(1, `${JSON.stringify(answer)}\n`) }

const KEYS = 4
const LARGE_BYTES = 8_000_000
const CONTENDED_BYTES = 200_000
const CONTEND_MS = 3_000

/** Sets large values under a few keys, and a small one for each round, until killed; tells which rounds are acknowledged. */
async function writeUntilKilled (): Promise<void> {
  for (let round = 0; ; round++) {
    await cache.set(`${name}-${round}`, { value: Buffer.from(name), expiresAt: Infinity })
    tell(round)
    await Promise.all(Array.from({ length: KEYS }, (_, at) => cache.set(`large-${at}`, { value: Buffer.alloc(LARGE_BYTES, 97 + round % 26), expiresAt: Infinity })))
  }
}

/** Four writers and two readers of one key, beside other processes; tells what failed and what was torn. */
async function contend (): Promise<void> {
  const failures: string[] = []
  const counts = { writes: 0, hits: 0, misses: 0, torn: 0 }
  const endsAt = performance.now() + CONTEND_MS
  const until = async (step: (round: number) => Promise<void>): Promise<void> => {
    for (let round = 0; performance.now() < endsAt; round++) await step(round).catch((error: unknown) => { failures.push(String(error)) })
  }
  const write = (writer: number) => until(async (round) => {
    await cache.set('shared', { value: Buffer.alloc(CONTENDED_BYTES - writer * 1_000, `${name}${writer}${round % 10}`), expiresAt: Infinity })
    counts.writes++
  })
  const read = () => until(async () => {
    const found = await cache.get('shared')
    if (found === undefined) counts.misses++
    else if (Buffer.alloc(found.value.byteLength, found.value.subarray(0, 3)).equals(found.value)) counts.hits++
    else counts.torn++
    await new Promise(setImmediate)
  })
  await Promise.all([write(0), write(1), write(2), write(3), read(), read()])
  await cache.close()
  tell({ failures, ...counts })
}

/** Reads and sets as another user would, and tells what came of it. */
async function tryAll (): Promise<void> {
  const outcome = async (call: () => unknown): Promise<string> => {
    try {
      const answer = await call()
      return answer === undefined ? 'nothing' : Buffer.isBuffer((answer as { value?: unknown }).value) ? 'entry' : 'answer'
    } catch (error) {
      return (error as { code?: string }).code ?? 'unknown'
    }
  }
  tell({
    kept: await outcome(() => cache.get('kept')),
    set: await outcome(() => cache.set('kept', { value: Buffer.from('newer'), expiresAt: Infinity })),
    then: await outcome(() => cache.get('kept')),
    other: await outcome(() => cache.set('other', { value: Buffer.from('newer'), expiresAt: Infinity })),
    remove: await outcome(() => cache.delete('kept'))
  })
  await cache.close()
}

const WAYS: Record<string, () => unknown> = {
  'write until killed': writeUntilKilled,
  contend,
  'try all': tryAll,
  async 'set and close' () {
    await cache.set('key', { value: Buffer.alloc(100_000), expiresAt: Infinity })
    const reading = cache.get('key')
    await cache.close()
    await reading
    const resources = process.getActiveResourcesInfo().filter((kind) => kind !== 'PipeWrap' && kind !== 'TTYWrap')
    tell({ resources, left: process.platform === 'linux' ? openFiles() - before : 0 })
  },
  'set and leave' () {
    cache.set('key', { value: Buffer.from(name), expiresAt: Infinity })
  }
}

await WAYS[way]!()
