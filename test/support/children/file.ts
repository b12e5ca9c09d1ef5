// A process that uses a folder of the file backend in the way of its second argument. Arguments: folder, way, name of the process.
import { closeSync, openSync, readdirSync, writeSync } from 'node:fs'
import { builtIns } from '../../../backends/index.js'
import { isFull } from '../size.js'

const [dir = '', way = '', name = ''] = process.argv.slice(2)
const openFiles = () => readdirSync('/proc/self/fd').length
const before = process.platform === 'linux' ? openFiles() : 0
const cache = await builtIns().open({
  backend: 'file',
  options: { dir, cleanupInterval: '100ms', fsync: name === 'fsync', ...(way === 'set beside cleanups' && { maxBytes: 500_000 }) }
})

/** Prints to standard output synchronously, so that nothing is lost if the process is killed just afterwards. */
const tell = (report: unknown): void => { writeSync(1, `${JSON.stringify(report)}\n`) }

const KEYS = 4
const LARGE_BYTES = 8_000_000
const CONTENDED_BYTES = 200_000
const CONTEND_MS = isFull ? 3_000 : 2_000
const BESIDE_MS = 1_500

/** Sets large values under a few keys, and a small one for each round, until killed. Prints the acknowledged rounds. */
async function writeUntilKilled (): Promise<void> {
  for (let round = 0; ; round++) {
    await cache.set(`${name}-${round}`, { value: Buffer.from(name), expiresAt: Infinity })
    tell(round)
    await Promise.all(Array.from({ length: KEYS }, (_, at) =>
      cache.set(`large-${at}`, { value: Buffer.alloc(LARGE_BYTES, 97 + round % 26), expiresAt: Infinity })))
  }
}

/** Four writers and two readers of one key, or only readers, beside other processes. Prints failures and torn values. */
async function contend (): Promise<void> {
  const failures: string[] = []
  const counts = { writes: 0, hits: 0, misses: 0, torn: 0 }
  const endsAt = performance.now() + CONTEND_MS
  const until = async (step: (round: number) => Promise<void>): Promise<void> => {
    for (let round = 0; performance.now() < endsAt; round++) await step(round).catch((error: unknown) => { failures.push(String(error)) })
  }
  const write = (writer: number) => until(async (round) => {
    await cache.set('shared', {
      value: Buffer.alloc(CONTENDED_BYTES - writer * 1_000, `${name}${writer}${round % 10}`), expiresAt: Infinity
    })
    counts.writes++
  })
  const read = () => until(async () => {
    const found = await cache.get('shared')
    if (found === undefined) counts.misses++
    else if (Buffer.alloc(found.value.byteLength, found.value.subarray(0, 3)).equals(found.value)) counts.hits++
    else counts.torn++
    await new Promise(setImmediate)
  })
  await Promise.all([read(), read(), ...(name === 'reader' ? [] : [write(0), write(1), write(2), write(3)])])
  await cache.close()
  tell({ failures, ...counts })
}

const outcome = async (call: () => unknown): Promise<string> => {
  try {
    const found = await call() as { value: Buffer } | undefined
    return found === undefined ? 'nothing' : found.value.toString()
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

const set = (key: string, text: string) => outcome(() => cache.set(key, { value: Buffer.from(text), expiresAt: Infinity }))
const get = (key: string) => outcome(() => cache.get(key))

/** Reads and sets, and prints the outcomes. */
async function tryAll (): Promise<void> {
  tell({
    kept: await get('kept'),
    set: await set('kept', 'newer'),
    then: await get('kept'),
    remove: await outcome(() => cache.delete('kept'))
  })
  await cache.close()
}

/** Sets one key three times. The second set is refused. */
async function setThrice (): Promise<void> {
  tell({
    sets: [await set('key', 'one'), await set('key', 'two')], then: await get('key'), last: await set('key', 'three'), now: await get('key')
  })
  await cache.close()
}

/** Opens as many files as it can, and continues. */
async function runOutOfFiles (): Promise<void> {
  const first = await set('key', 'one')
  const taken: number[] = []
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'))
  } catch {}
  const without = { set: await set('key', 'two'), get: await get('key'), keys: await outcome(() => cache.keys?.()) }
  for (const descriptor of taken) closeSync(descriptor)
  tell({ first, ...without, then: await get('key'), again: await set('key', 'three'), now: await get('key') })
  await cache.close()
}

const WAYS: Record<string, () => unknown> = {
  'write until killed': writeUntilKilled,
  contend,
  'try all': tryAll,
  'set thrice': setThrice,
  'run out of files': runOutOfFiles,
  async 'set and close' () {
    await cache.set('key', { value: Buffer.alloc(100_000), expiresAt: Infinity })
    const reading = cache.get('key')
    await cache.close()
    await reading
    const resources = process.getActiveResourcesInfo().filter((kind) => kind !== 'PipeWrap' && kind !== 'TTYWrap')
    tell({ resources, left: process.platform === 'linux' ? openFiles() - before : 0 })
  },
  /** Sets during cleanups, in a full folder, while nothing else keeps the process alive. */
  async 'set beside cleanups' () {
    const endsAt = performance.now() + BESIDE_MS
    for (let at = 0; performance.now() < endsAt; at++) await cache.set(`${at % 3_000}`, { value: Buffer.alloc(100), expiresAt: Infinity })
    tell('done')
    await cache.close()
  },
  'set and leave' () {
    cache.set('key', { value: Buffer.from(name), expiresAt: Infinity })
  }
}

await WAYS[way]!()
