// The SQLite backend runs the kit's cases that need levers, on a file that is locked, damaged, and written by killed processes.
import t from 'tap'
import { conforms } from '../support/conformance.js'
import { needsMount } from '../support/disk.js'
import { leverCases, onSmallDisk, removeCases, roomCases, sqliteSubject } from '../support/levers.js'

t.setTimeout(300_000)

t.test('sqlite survives kills, a lock that is held, and a damaged file', async (t) => {
  await conforms(t, sqliteSubject(t), leverCases)
})

t.test('sqlite survives a table that another tool drops', async (t) => {
  await conforms(t, sqliteSubject(t, undefined, 'table'), removeCases)
})

t.test('sqlite survives a full disk, and makes room on a disk that it filled', { skip: needsMount }, async (t) => {
  await conforms(t, onSmallDisk(t, sqliteSubject), roomCases)
})
