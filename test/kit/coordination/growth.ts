// Cases in which keys are claimed again and again: the store must not keep growing.
import type { ConformanceCase } from '../case.js'
import { entryOf } from '../entries.js'
import { assertStays, KEYS, keysOf } from '../museum/growth.js'
import { claim, claimingWith, LONG, NO_LEASE, settle, take } from './claims.js'

const ADVICE = 'Remove what is recorded of a key with the key itself, and keep one record for each key, not one for each token'

export const claimGrowthCases: readonly ConformanceCase[] = [
  claimingWith(['footprint'], 'claims of one key take up the space of one', async (backend, subject) => {
    await assertStays(subject, 'claims of the same key', async () => {
      for (let at = 0; at < KEYS; at++) {
        await settle(backend, 'key', await take(backend, 'key', LONG, 'after the lease was given back'), {}, false, 'without an entry')
        await claim(backend, 'key', NO_LEASE)
      }
    })
  }, ADVICE),

  claimingWith(['footprint'], 'keys that are claimed and deleted leave nothing in the store', async (backend, subject) => {
    await assertStays(subject, 'keys that are claimed and deleted', async (round) => {
      for (const [at, key] of keysOf(round).entries()) {
        const token = await take(backend, key, LONG, 'of a new key')
        if (at % 2 === 0) await settle(backend, key, token, { entry: entryOf('value', subject) }, true, 'with an entry')
        await backend.delete(key)
      }
    })
  }, ADVICE)
]
