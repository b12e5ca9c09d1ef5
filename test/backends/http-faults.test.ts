// The HTTP backend runs the kit's cases that need levers, on a service that does not respond, refuses, or sends garbage.
import t from 'tap'
import { conforms } from '../support/conformance.js'
import { httpSubject } from '../support/hostile.js'
import { remoteCases } from '../support/levers.js'

t.setTimeout(300_000)

t.test('http survives a service that hangs, refuses, or sends garbage', async (t) => {
  await conforms(t, httpSubject(t), remoteCases)
})
