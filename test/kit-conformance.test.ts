// Tests that the list `conformance` finds defects. Each case must fail on the backend that is broken for it, with the expected message.
import t from 'tap'
import { conformance } from './kit/index.js'
import { failsItsOwn } from './support/kit.js'

t.test('each case of conformance fails on the backend that is broken for it', async (t) => {
  await failsItsOwn(t, conformance)
})
