// The calls of the backend `redis` that the simulation counts, each measured alone.
import type { Redis } from 'ioredis'
import type { CacheBackend, Claim, StoredEntry } from 'fastify-response-cache'
import { spentBy, type Spent } from './redis-spent.js'
import type { Operation } from './tally.js'

const TIMES = 500
const LIFE_MS = 600_000
const LEASE = { leaseMs: 60_000, fillMs: LIFE_MS }

/** The size of a stored response with a body of 1000 bytes and one tag. */
const ENTRY_BYTES = 1_390
const STAMP_BYTES = 34

type Call = (key: string, number: number) => unknown

export type Costs = Readonly<Record<Exclude<Operation, 'message'>, Spent>>

/** Measures each call on keys of its own. */
export async function measureOperations (backend: CacheBackend, server: Redis): Promise<Costs> {
  const tokens: string[] = []
  const entry = (bytes: number): StoredEntry => ({ value: Buffer.alloc(bytes, 'x'), expiresAt: Date.now() + LIFE_MS })
  const setEntry: Call = async (key) => await backend.set(key, entry(ENTRY_BYTES))
  const setStamp: Call = async (key) => await backend.set(key, entry(STAMP_BYTES))
  const claim: Call = async (key, number) => { tokens[number] = (await backend.claim!(key, LEASE) as { token: string } & Claim).token }
  const measured = async (name: string, call: Call, prepare: Call = () => {}): Promise<Spent> => {
    const keys = Array.from({ length: TIMES }, (_, number) =>
      `:GET shop.example /${name.padEnd(8, '-')}/${String(number).padStart(6, '0')}`)
    for (const [number, key] of keys.entries()) await prepare(key, number)
    // The first call also sends the text of a script.
    await call(`${keys[0]} first`, TIMES)
    return await spentBy(server, TIMES, async () => { for (const [number, key] of keys.entries()) await call(key, number) })
  }
  return {
    hit: await measured('hit', async (key) => await backend.get(key), setEntry),
    miss: await measured('miss', async (key) => await backend.get(key)),
    stamp: await measured('stamp', async (key) => await backend.get(key), setStamp),
    claim: await measured('claim', claim),
    busy: await measured('busy', async (key) => await backend.claim!(key, LEASE), claim),
    quicker: await measured('quicker', async (key) => await backend.claim!(key, LEASE), setEntry),
    renew: await measured('renew', async (key, number) => await backend.claim!(key, { ...LEASE, token: tokens[number]! }), claim),
    settle: await measured('settle', async (key, number) =>
      await backend.settle!(key, tokens[number]!, { entry: entry(ENTRY_BYTES) }), claim),
    release: await measured('release', async (key, number) => await backend.settle!(key, tokens[number]!, {}), claim),
    set: await measured('set', setEntry),
    remove: await measured('remove', async (key) => await backend.delete(key), setEntry),
    setStamp: await measured('setStamp', setStamp),
    version: await measured('version', async () => await backend.version!('tags'))
  }
}
