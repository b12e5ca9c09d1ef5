// The list `conformance` finds what is broken: each case fails the backend that is broken in its way, and says so.
import t from 'tap'
import { conformance } from './kit/index.js'
import { failsItsOwn } from './support/kit.js'

t.test('each case of conformance fails the backend that is broken in its way', async (t) => {
  await failsItsOwn(t, conformance)
})
