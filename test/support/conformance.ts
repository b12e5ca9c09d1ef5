// Runs cases of the kit in tap, one test per case. Cases for which the backend or the subject lacks something are skipped by name.
import type { Test } from 'tap'
import { conformance, skipReason, type ConformanceCase, type ConformanceSubject } from '../kit/index.js'

export async function conforms (t: Test, subject: ConformanceSubject, cases: readonly ConformanceCase[] = conformance): Promise<void> {
  const backend = await subject.open()
  await backend.close()
  for (const one of cases) {
    await t.test(one.name, { skip: skipReason(one, subject, backend) ?? false }, async (t) => t.equal(await one.run(subject), 'passed'))
  }
}
