// All broken backends, by the name of the case that must find what is broken; and correct subjects.
import type { ConformanceSubject } from '../../kit/index.js'
import { storeSubject } from '../faulty-store.js'
import { mapSubject, ofProgram, type Broken } from './broken.js'
import { brokenConformance } from './conformance.js'
import { brokenCoordination } from './coordination.js'
import { brokenFaults } from './faults.js'
import { brokenMuseum } from './museum.js'

export { ofMap, type Broken } from './broken.js'
export { leaseMistakes } from './coordination.js'

export const broken: Readonly<Record<string, Broken>> = {
  ...brokenConformance, ...brokenFaults, ...brokenMuseum, ...brokenCoordination
}

export const correctMap = (): ConformanceSubject => mapSubject(({ correct }) => correct)

/** Has every lever except `program`. */
export const correctStore = (): ConformanceSubject => storeSubject()

/** Has the lever `program`. */
export const correctProgram: Broken = ofProgram('correct')
