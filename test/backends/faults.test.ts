// The backends memory, file and tiered run the kit's cases that need levers, its faults and its museum, as far as they apply.
import t from 'tap'
import { conforms } from '../support/conformance.js'
import { needsMount } from '../support/disk.js'
import { fileSubject, leverCases, memorySubject, onSmallDisk, remoteCases, roomCases, tieredSubject } from '../support/levers.js'

t.setTimeout(300_000)

t.test('memory survives the faults that apply to it', async (t) => {
  await conforms(t, memorySubject(), leverCases)
})

t.test('file survives kills and damaged files', async (t) => {
  await conforms(t, fileSubject(t), leverCases)
})

t.test('tiered, memory before files, survives damaged files', async (t) => {
  await conforms(t, tieredSubject(t), remoteCases)
})

for (const [name, subjectIn] of [['file', fileSubject], ['tiered, memory before files,', tieredSubject]] as const) {
  t.test(`${name} survives a full disk, and makes room on a disk that it filled`, { skip: needsMount }, async (t) => {
    await conforms(t, onSmallDisk(t, subjectIn), roomCases)
  })
}
