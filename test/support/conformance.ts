// Runs the conformance list in tap: a test per case, those for powers that the backend lacks skipped by name.
import type { Test } from 'tap'
import { powersOf } from '../../registry/backend.js'
import { conformance, type ConformanceSubject } from '../kit/index.js'

export async function conforms (t: Test, subject: ConformanceSubject): Promise<void> {
  const backend = await subject.open()
  const powers = powersOf(backend)
  await backend.close()
  for (const { name, power, run } of conformance) {
    const skip = power !== undefined && !powers.includes(power) ? `the backend has no method ${power}` : false
    await t.test(name, { skip }, async (t) => t.equal(await run(subject), 'passed'))
  }
}
