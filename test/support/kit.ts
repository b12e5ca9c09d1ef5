// Runs cases on the backends that are broken for them.
import type { Test } from 'tap'
import type { ConformanceCase } from '../kit/index.js'
import { broken } from './breakages/index.js'
import { messages } from './breakages/messages.js'

/** Checks that each case fails on its broken backend, with the message that is listed for it. */
export async function failsItsOwn (t: Test, cases: readonly ConformanceCase[]): Promise<void> {
  for (const { name, run } of cases) {
    await t.test(name, async (t) => {
      const [make, message] = [broken[name], messages[name]]
      if (make === undefined || message === undefined) return t.fail('no broken backend and its message are listed for this case')
      await t.rejects(run(make(t)), { code: 'ERR_ASSERTION', message })
    })
  }
}
