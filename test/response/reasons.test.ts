// Reason codes: which don't predict the next response, and which leave the handler's response unknown.
import t from 'tap'
import { INCOMPLETE, REFUSAL_REASONS, TRANSIENT } from '../../response/observe/reasons.js'

t.test('after these refusals other requests still wait for one request; after any other they do not', async (t) => {
  const transient = [
    'condition', 'handler-error', 'client-gone', 'stream-failed', 'invalidated', 'superseded', 'lock-timeout', 'unavailable', 'closed'
  ]
  for (const reason of REFUSAL_REASONS) t.equal(TRANSIENT.has(reason), transient.includes(reason), reason)
})

t.test('these refusals say nothing about the stored response behind them', async (t) => {
  const incomplete = ['client-gone', 'stream-failed', 'length', 'lock-timeout', 'closed']
  for (const reason of REFUSAL_REASONS) t.equal(INCOMPLETE.has(reason), incomplete.includes(reason), reason)
})
