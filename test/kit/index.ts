// The test kit: lists of cases for any test runner. They test what every backend must do and survive, and look for public bugs.
import type { ConformanceCase } from './case.js'
import { foundCases } from './coordination/found.js'
import { claimGrowthCases } from './coordination/growth.js'
import { hiddenCases } from './coordination/hidden.js'
import { claimedKeyCases } from './coordination/keys.js'
import { leaseCases } from './coordination/leases.js'
import { claimLifeCases } from './coordination/life.js'
import { prolongingCases } from './coordination/prolonging.js'
import { sharedCases } from './coordination/share.js'
import { storeFaultCases } from './coordination/store-faults.js'
import { tokenCases } from './coordination/tokens.js'
import { versionCases } from './coordination/versions.js'
import { voidedCases } from './coordination/voided.js'
import { failCases } from './faults/fail.js'
import { fillCases } from './faults/fill.js'
import { garbleCases } from './faults/garble.js'
import { hangCases } from './faults/hang.js'
import { heldUpCases } from './faults/held-up.js'
import { jumpCases } from './faults/jump.js'
import { killCases } from './faults/kill.js'
import { loosenCases } from './faults/loosen.js'
import { removeCases } from './faults/remove.js'
import { slowCases } from './faults/slow.js'
import { guideCases } from './guide.js'
import { keyCases } from './keys.js'
import { keyPowerCases } from './key-powers.js'
import { lifeCases } from './life.js'
import { growthCases } from './museum/growth.js'
import { keyBugCases } from './museum/keys.js'
import { outageCases } from './museum/outages.js'
import { raceCases } from './museum/races.js'
import { roomCases } from './museum/room.js'
import { timeBugCases } from './museum/time.js'
import { powerCases } from './powers.js'
import { storeCases } from './stores.js'
import { timeCases } from './time.js'
import { valueCases } from './values.js'
import { writeCases } from './writes.js'

export { skipReason } from './case.js'
export type { ConformanceCase } from './case.js'
export type { ConformanceSubject, Heal, Lent, Lever, Program } from './subject.js'

/** Cases for everything that every backend must do. Use them as in `for (const c of conformance) test(c.name, () => c.run(subject))` */
export const conformance: readonly ConformanceCase[] = [
  ...guideCases,
  ...valueCases,
  ...keyCases,
  ...writeCases,
  ...timeCases,
  ...lifeCases,
  ...storeCases,
  ...powerCases,
  ...keyPowerCases
]

/**
 * Cases for everything that a backend must survive: a store that hangs, fails, returns garbage, is killed, removed, full or slow, a clock
 * that jumps, and a process that is blocked. Most cases need a lever.
 */
export const faults: readonly ConformanceCase[] = [
  ...hangCases,
  ...failCases,
  ...garbleCases,
  ...killCases,
  ...jumpCases,
  ...removeCases,
  ...loosenCases,
  ...fillCases,
  ...slowCases,
  ...heldUpCases
]

/** Cases for public bugs of other caches, each with its reference. A case looks for the same bug in a backend. Some need a lever. */
export const museum: readonly ConformanceCase[] = [
  ...keyBugCases,
  ...timeBugCases,
  ...raceCases,
  ...growthCases,
  ...outageCases,
  ...roomCases
]

/**
 * Cases for backends with `claim` and `settle`, or with `version`, which let several processes share work: one of them creates an entry
 * while the others wait, and nothing is stored that was read before an invalidation. Some need a lever.
 */
export const coordination: readonly ConformanceCase[] = [
  ...leaseCases,
  ...prolongingCases,
  ...foundCases,
  ...tokenCases,
  ...voidedCases,
  ...claimedKeyCases,
  ...hiddenCases,
  ...sharedCases,
  ...claimLifeCases,
  ...storeFaultCases,
  ...claimGrowthCases,
  ...versionCases
]
