// The SQLite backend through the kit's cases that need levers, on a file that is locked, damaged, and written by processes that are killed.
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

t.test('sqlite survives a disk without room, and makes room on one that it has filled', { skip: needsMount }, async (t) => {
  await conforms(t, onSmallDisk(t, sqliteSubject), roomCases)
})
