// Subjects whose backend is broken in one way: in a Map, on a store with levers, or in a process of its own.
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
import type { Breakage } from './ways.js'

/** Makes the subject that is broken. */
export type Broken = (t: Test) => ConformanceSubject

/** Short: what is broken does not recover. */
const RECOVERY_MS = 100

export function mapSubject (open: (given: Parameters<Breakage>[0]) => CacheBackend): ConformanceSubject {
  const { jump, ...clock } = testClock()
  return {
    ...clock,
    open: async () => {
      const entries = new Map<string, StoredEntry>()
      return open({ correct: mapBackend(clock.now, entries), now: clock.now, entries })
    }
  }
}

export const ofMap = (breakage: Breakage): Broken => () => mapSubject((given) => ({ ...given.correct, ...breakage(given) }))

/** What is put over the methods of a correct backend on a store. */
export type StoreBreakage = (given: StoreGiven & { readonly correct: StoreBackend }) => Partial<CacheBackend>

/** `more`: what is broken beside the backend. */
export const ofStore = (
  breakage: StoreBreakage, more: (subject: ConformanceSubject) => Partial<ConformanceSubject> = () => ({})
): Broken => () => {
  const subject = storeSubject((given) => {
    const correct = storeBackend(given)
    return { ...correct, ...breakage({ ...given, correct }) }
  })
  return { ...subject, recoveryMs: RECOVERY_MS, ...more(subject) }
}

/** A store on which backends are opened in a way of their own. */
export const ofOpening = (open: (given: StoreGiven) => Promise<CacheBackend>): Broken => () => ({
  ...storeSubject(open), recoveryMs: RECOVERY_MS
})

/** A backend that other processes open too, in one of the ways of `children/kit.ts`; `here`: the way in this process. */
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
