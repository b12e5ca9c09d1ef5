// The test kit: what every backend does, what it survives, and which public bugs it has not, as lists that any runner can run.
import type { ConformanceCase } from './case.js'
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

/** What every backend does. `for (const c of conformance) test(c.name, () => c.run(subject))` */
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
 * What a backend survives when its store hangs, fails, hands out garbage, is killed, removed, full or slow, when its clock jumps or
 * its process is held up. Most cases need a lever.
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

/** Public bugs of other caches, each with its reference: the same mistake made by a backend. Some cases need a lever. */
export const museum: readonly ConformanceCase[] = [
  ...keyBugCases,
  ...timeBugCases,
  ...raceCases,
  ...growthCases,
  ...outageCases,
  ...roomCases
]
