// The SQLite backend passes the kit's cases for processes that share a store: in its own file, in memory, in a caller-owned database.
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { builtIns } from '../../backends/index.js'
import type { SqliteOptions } from '../../backends/sqlite.js'
import { coordination } from '../kit/index.js'
import { testClock } from '../support/clock.js'
import { conforms } from '../support/conformance.js'
import { needsMount } from '../support/disk.js'
import { newFolder } from '../support/folder.js'
import { onSmallDisk, sqliteSubject } from '../support/levers.js'

t.setTimeout(200_000)

t.test('sqlite, in a file of its own, coordinates', async (t) => {
  await conforms(t, sqliteSubject(t), coordination)
})

t.test('sqlite, on a full disk, coordinates', { skip: needsMount }, async (t) => {
  await conforms(t, onSmallDisk(t, sqliteSubject), coordination.filter(({ levers = [] }) => levers.includes('fill')))
})

function caller (t: Test, path: string): SqliteOptions {
  const database = new Database(path)
  t.teardown(() => { database.close() })
  return { database }
}

const WAYS: Record<string, (t: Test) => SqliteOptions> = {
  'in memory': () => ({ path: ':memory:' }),
  'in a caller-owned file': (t) => caller(t, join(newFolder(t), 'app.db')),
  'in a caller-owned database in memory': (t) => caller(t, ':memory:')
}

for (const [name, optionsIn] of Object.entries(WAYS)) {
  t.test(`sqlite, ${name}, coordinates`, async (t) => {
    const clock = testClock()
    const open = () => builtIns().open({ backend: 'sqlite', options: optionsIn(t) }, { now: clock.now })
    await conforms(t, { ...clock, open }, coordination)
  })
}
