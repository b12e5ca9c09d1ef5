// The SQLite backend through the kit's cases that need levers, on a file that is locked, damaged, and written by processes that are killed.
import t from 'tap'
import { conforms } from '../support/conformance.js'
import { leverCases, sqliteSubject } from '../support/levers.js'

t.test('A24: sqlite survives kills, a lock that is held, and a damaged file', async (t) => {
  await conforms(t, sqliteSubject(t), leverCases)
})
