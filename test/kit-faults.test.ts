// Tests that the lists `faults` and `museum` find defects. Each case must fail on the backend broken for it, with the expected message.
import t from 'tap'
import { faults, museum } from './kit/index.js'
import { failsItsOwn } from './support/kit.js'

t.test('each case of faults fails on the backend that is broken for it', async (t) => {
  await failsItsOwn(t, faults)
})

t.test('each case of museum fails on the backend that is broken for it', async (t) => {
  await failsItsOwn(t, museum)
})
