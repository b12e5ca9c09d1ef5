// The HTTP backend through the kit's cases that need levers, on a service that answers nothing, refuses, or answers garbage.
import t from 'tap'
import { conforms } from '../support/conformance.js'
import { httpSubject } from '../support/hostile.js'
import { remoteCases } from '../support/levers.js'

t.setTimeout(300_000)

t.test('http survives a service that hangs, refuses, or answers garbage', async (t) => {
  await conforms(t, httpSubject(t), remoteCases)
})
