// Cases about what a claim leaves in the store: it is not an entry, and no other method returns or counts it.
import assert from 'node:assert/strict'
import { withPower, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds, assertMiss, assertSame } from '../expect.js'
import { show } from '../outcome.js'
import type { ConformanceSubject } from '../subject.js'
import { asClaiming, claiming, LONG, seenEntry, settle, take, type Claiming } from './claims.js'

const ADVICE = 'A lease is not an entry: leave it out of everything that reads or counts entries'

/** Claims three keys: one without an entry, one whose lease is given back, and one whose entry was seen. */
async function claimThree (backend: Claiming, subject: ConformanceSubject): Promise<void> {
  await take(backend, 'claimed', LONG, 'of a new key')
  await settle(backend, 'given back', await take(backend, 'given back', LONG, 'of a new key'), {}, false, 'without an entry')
  const seen = await seenEntry(backend, 'entry', 'value', subject)
  await take(backend, 'entry', { ...LONG, seen }, 'for the entry that was seen')
}

function assertIs (came: unknown, expected: unknown, what: string): void {
  assert.ok(came === expected, `${what} must be ${show(expected)}; got ${show(came)}`)
}

export const hiddenCases: readonly ConformanceCase[] = [
  claiming('a key that is only claimed is a miss', async (backend, subject) => {
    await claimThree(backend, subject)
    for (const key of ['claimed', 'given back']) assertMiss(await backend.get(key), 'get() of a key that is only claimed')
  }, { advice: ADVICE }),

  // The power is the method that must leave leases out. A backend without claim has none.
  ...(['has', 'getMany', 'keys', 'size', 'stats'] as const).map((power) =>
    withPower(power, 'leaves out keys that are only claimed', async (backend, subject) => {
      if (backend.claim === undefined) return
      await claimThree(asClaiming(backend), subject)
      await looks[power](asClaiming(backend))
    }, { advice: ADVICE })),

  claiming('an entry that was settled is an entry for every method', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    await settle(backend, 'key', token, { entry: entryOf('value', subject) }, true, 'with an entry')
    assertIs(await backend.has?.('key') ?? true, true, 'has() of an entry that was settled')
    assertSame(await backend.keys?.() ?? ['key'], ['key'], 'keys() after a settle()')
    assertIs(await backend.size?.() ?? 1, 1, 'size() after a settle()')
    assertIs((await backend.stats?.())?.entries ?? 1, 1, 'stats().entries after a settle()')
    if (backend.getMany === undefined) return
    const [hit] = await backend.getMany(['key'])
    assertHolds(hit, bytesOf('value'), 'getMany() of an entry that was settled')
  }),

  claiming('an entry that was settled is deleted and cleared like one that was set', async (backend, subject) => {
    for (const key of ['deleted', 'cleared']) {
      const token = await take(backend, key, LONG, 'of a new key')
      await settle(backend, key, token, { entry: entryOf('value', subject) }, true, 'with an entry')
    }
    await backend.delete('deleted')
    await (backend.clear === undefined ? backend.delete('cleared') : backend.clear('cl'))
    for (const key of ['deleted', 'cleared']) assertMiss(await backend.get(key), `get() of an entry that was settled and ${key}`)
  })
]

const looks = {
  async has (backend: Claiming) {
    for (const key of ['claimed', 'given back']) assertIs(await backend.has?.(key), false, 'has() of a key that is only claimed')
    assertIs(await backend.has?.('entry'), true, 'has() of an entry whose key is claimed')
  },
  async getMany (backend: Claiming) {
    const [claimed, given, entry] = await backend.getMany!(['claimed', 'given back', 'entry'])
    for (const hit of [claimed, given]) assertMiss(hit, 'getMany() of a key that is only claimed')
    assertIs(entry?.value.byteLength, 5, 'the length of the value that getMany() returns for a key that is claimed')
  },
  async keys (backend: Claiming) { assertSame(await backend.keys!(), ['entry'], 'keys() while keys are claimed') },
  async size (backend: Claiming) { assertIs(await backend.size!(), 1, 'size() with one entry, while keys are claimed,') },
  async stats (backend: Claiming) {
    assertIs((await backend.stats!()).entries ?? 1, 1, 'stats().entries with one entry, while keys are claimed,')
  }
}
