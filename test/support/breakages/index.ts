// All broken backends, by the name of the case that has to notice them, and the subjects that are not broken.
import type { ConformanceSubject } from '../../kit/index.js'
import { storeSubject } from '../faulty-store.js'
import { mapSubject, ofProgram, type Broken } from './broken.js'
import { brokenConformance } from './conformance.js'
import { brokenFaults } from './faults.js'
import { brokenMuseum } from './museum.js'

export type { Broken } from './broken.js'

export const broken: Readonly<Record<string, Broken>> = { ...brokenConformance, ...brokenFaults, ...brokenMuseum }

export const correctMap = (): ConformanceSubject => mapSubject(({ correct }) => correct)

/** With every lever but a program. */
export const correctStore = (): ConformanceSubject => storeSubject()

/** With a program. */
export const correctProgram: Broken = ofProgram('correct')
