// The conformance cases: what every backend does, as a list that any test runner can run.
import { guideCases } from './guide.js'
import { keyCases } from './keys.js'
import { keyPowerCases } from './key-powers.js'
import { lifeCases } from './life.js'
import { powerCases } from './powers.js'
import { timeCases } from './time.js'
import { valueCases } from './values.js'
import { writeCases } from './writes.js'
import type { ConformanceCase } from './case.js'

export type { ConformanceCase, ConformanceSubject } from './case.js'

/** All cases. `for (const c of conformance) test(c.name, () => c.run(subject))` */
export const conformance: readonly ConformanceCase[] = [
  ...guideCases,
  ...valueCases,
  ...keyCases,
  ...writeCases,
  ...timeCases,
  ...lifeCases,
  ...powerCases,
  ...keyPowerCases
]
