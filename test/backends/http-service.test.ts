// The backend http and the real cache service, with memory and with SQLite behind it.
import { join } from 'node:path'
import t from 'tap'
import { conforms } from '../support/conformance.js'
import { serve } from '../support/http.js'
import { testClock } from '../support/clock.js'
import type { BackendChoice } from '../../registry/names.js'

let files = 0

for (const name of ['memory', 'sqlite'] as const) {
  t.test(`A24: http conforms, with ${name} behind the service`, async (t) => {
    const folder = t.testdir()
    const clock = testClock()
    const behind = (): BackendChoice => name === 'memory' ? { backend: name } : { backend: name, options: { path: join(folder, `${files++}.db`) } }
    await conforms(t, { ...clock, open: async () => (await serve(t, { behind: behind(), now: clock.now })).open() })
  })
}
