// The lists `faults` and `museum` find what is broken: each case fails the backend that is broken in its way, and says so.
import t from 'tap'
import { faults, museum } from './kit/index.js'
import { failsItsOwn } from './support/kit.js'

t.test('each case of faults fails the backend that is broken in its way', async (t) => {
  await failsItsOwn(t, faults)
})

t.test('each case of museum fails the backend that is broken in its way', async (t) => {
  await failsItsOwn(t, museum)
})
