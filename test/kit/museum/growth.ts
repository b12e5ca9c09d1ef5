// Cases for public bugs in which a store keeps growing, because indexes or leftovers are never removed.
import assert from 'node:assert/strict'
import type { CacheBackend } from '../../../registry/backend.js'
import { withLevers, type ConformanceCase } from '../case.js'
import { entryOf } from '../entries.js'
import type { SubjectWith } from '../subject.js'

const ROUNDS = 10

/** How many keys a round has. */
export const KEYS = 40

/** Fails if the store grows from round to round, although each round leaves no entry. */
export async function assertStays (
  subject: SubjectWith<'footprint'>, what: string, round: (number: number) => Promise<void>
): Promise<void> {
  await round(0)
  await round(1)
  const before = await subject.footprint()
  for (let number = 2; number < ROUNDS; number++) await round(number)
  const after = await subject.footprint()
  // Some growth is allowed, because the store's pages and tables may be filled to a different degree.
  const most = before * 2 + KEYS / 2
  assert.ok(
    after <= most, `the store must not grow by ${what}; after 2 rounds of ${KEYS} it holds ${before}, after ${ROUNDS} rounds ${after}`)
}

async function setAll (backend: CacheBackend, subject: SubjectWith<'footprint'>, keys: readonly string[], lifeMs?: number): Promise<void> {
  for (const key of keys) await backend.set(key, entryOf('value', subject, lifeMs))
}

/** Returns the keys of a round, which no other round has. */
export const keysOf = (round: number): string[] => Array.from({ length: KEYS }, (_, at) => `round ${round}, key ${at}`)

export const growthCases: readonly ConformanceCase[] = [
  withLevers(['footprint'], 'deleted keys leave nothing in the store', async (backend, subject) => {
    await assertStays(subject, 'keys that are set and deleted', async (round) => {
      await setAll(backend, subject, keysOf(round))
      for (const key of keysOf(round)) await backend.delete(key)
    })
  }, { reference: 'jaredwray/keyv#455', advice: 'Keep no index beside the entries, or remove a deleted entry from the index too' }),

  withLevers(['footprint'], 'a key that is set again and again takes up the space of one entry', async (backend, subject) => {
    await assertStays(subject, 'the same keys set again after they expired', async () => {
      await setAll(backend, subject, keysOf(0), 1_000)
      await subject.pass(1_000)
      for (const key of keysOf(0)) await backend.get(key)
    })
  }, { reference: 'nodejs/undici#4203', advice: 'A set replaces the entry under its key, expired or not' }),

  withLevers(['footprint'], 'cleared keys leave nothing in the store', async (backend, subject) => {
    await assertStays(subject, 'keys that are set and cleared', async (round) => {
      await setAll(backend, subject, keysOf(round))
      await backend.clear!(`round ${round}`)
    })
  }, { power: 'clear', reference: 'caching-tools/next-shared-cache#852', advice: 'Remove cleared entries from every index too' })
]
