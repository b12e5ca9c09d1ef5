// The backends memory, file and tiered through the kit's cases that need levers, its faults and its museum, as far as they have them.
import t from 'tap'
import { conforms } from '../support/conformance.js'
import { fileSubject, leverCases, memorySubject, remoteCases, tieredSubject } from '../support/levers.js'

t.test('A24: memory survives what it can meet', async (t) => {
  await conforms(t, memorySubject(), leverCases)
})

t.test('A24: file survives kills and damaged files', async (t) => {
  await conforms(t, fileSubject(t), leverCases)
})

t.test('A24: tiered, memory before files, survives damaged files', async (t) => {
  await conforms(t, tieredSubject(t), remoteCases)
})
