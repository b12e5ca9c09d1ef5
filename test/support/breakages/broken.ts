// Subjects with a broken backend: in a Map, on a store with levers, or in a child process.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { CacheBackend, StoredEntry } from '../../../registry/backend.js'
import type { ConformanceSubject } from '../../kit/index.js'
import { open } from '../children/kit.js'
import { testClock } from '../clock.js'
import { storeBackend, storeSubject, type StoreBackend, type StoreGiven } from '../faulty-store.js'
import { mapBackend } from '../map-backend.js'
import { leaseRecords } from '../map-leases.js'
import type { Breakage } from './ways.js'

/** Makes a subject with a broken backend. */
export type Broken = (t: Test) => ConformanceSubject

/** Short, because a broken backend doesn't recover. */
const RECOVERY_MS = 100

export function mapSubject (open: (given: Parameters<Breakage>[0]) => CacheBackend): ConformanceSubject {
  const { jump, ...clock } = testClock()
  return {
    ...clock,
    open: async () => {
      const entries = new Map<string, StoredEntry>()
      return open({ correct: mapBackend(clock.now, entries), now: clock.now, entries, leases: leaseRecords(entries) })
    }
  }
}

export const ofMap = (breakage: Breakage): Broken => () => mapSubject((given) => ({ ...given.correct, ...breakage(given) }))

/** Replaces methods of a correct backend on a store. */
export type StoreBreakage = (given: StoreGiven & { readonly correct: StoreBackend }) => Partial<CacheBackend>

/** `more` is what else of the subject is broken. */
export const ofStore = (
  breakage: StoreBreakage, more: (subject: ConformanceSubject) => Partial<ConformanceSubject> = () => ({})
): Broken => () => {
  const subject = storeSubject((given) => {
    const correct = storeBackend(given)
    return { ...correct, ...breakage({ ...given, correct }) }
  })
  return { ...subject, recoveryMs: RECOVERY_MS, ...more(subject) }
}

/** A store on which `open` opens the backends. */
export const ofOpening = (open: (given: StoreGiven) => Promise<CacheBackend>): Broken => () => ({
  ...storeSubject(open), recoveryMs: RECOVERY_MS
})

/** A backend that child processes open too, in one of the ways of `children/kit.ts`; `here` is the way in this process. */
export const ofProgram = (way: string, here = way): Broken => (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'kit-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  let opened = 0
  const whereIn = (way: string) => `${way} ${join(folder, String(opened))}`
  return {
    now: Date.now,
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    open () {
      opened++
      return open(whereIn(here))
    },
    reopen: () => open(whereIn(here)),
    share: () => open(whereIn(here)),
    program: { module: new URL('../children/kit.js', import.meta.url), where: () => whereIn(way) }
  }
}
