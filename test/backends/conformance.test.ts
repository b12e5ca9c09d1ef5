// Every backend passes the conformance cases.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { builtIns } from '../../backends/index.js'
import { fromStringStore } from '../../registry/string-store.js'
import { testClock, type TestClock } from '../support/clock.js'
import { conforms } from '../support/conformance.js'
import { stringMap } from '../support/string-map.js'
import type { CacheBackend } from '../../registry/backend.js'
import type { BackendChoice } from '../../registry/names.js'

interface Row {
  readonly name: string
  open (clock: TestClock, folder: string): Promise<CacheBackend>
}

const byName = (choice: BackendChoice): Row['open'] => (clock) => builtIns().open(choice, { now: clock.now })

let files = 0

const ROWS: readonly Row[] = [
  { name: 'memory', open: byName({ backend: 'memory' }) },
  { name: 'fromStringStore', open: async ({ now }) => fromStringStore(stringMap(now), { now }) },
  {
    name: 'fromStringStore over an asynchronous store',
    open: async ({ now }) => fromStringStore(stringMap(now, { later: true }), { now })
  },
  { name: 'file', open: (clock, folder) => byName({ backend: 'file', options: { dir: join(folder, `${files++}`) } })(clock, folder) },
  { name: 'sqlite in memory', open: byName({ backend: 'sqlite', options: { path: ':memory:' } }) },
  {
    name: 'tiered, memory before memory',
    open: byName({ backend: 'tiered', options: { tiers: [{ backend: 'memory' }, { backend: 'memory' }] } })
  },
  {
    name: 'tiered, memory before sqlite',
    open: byName({ backend: 'tiered', options: { tiers: [{ backend: 'memory' }, { backend: 'sqlite', options: { path: ':memory:' } }] } })
  },
  {
    name: 'sqlite in a file',
    open: (clock, folder) => byName({ backend: 'sqlite', options: { path: join(folder, `${files++}.db`) } })(clock, folder)
  }
]

for (const { name, open } of ROWS) {
  t.test(`${name} conforms`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'conformance-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const clock = testClock()
    await conforms(t, { ...clock, open: () => open(clock, folder) })
  })
}
