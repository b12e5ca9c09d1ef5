// A name that failed just now is left alone for longer and longer, and never for longer than a minute.
import t from 'tap'
import { Backoff } from '../../registry/backoff.js'
import { testClock } from '../support/clock.js'

t.test('backoff: each failure doubles the pause, from a second to a minute; a success ends it', async (t) => {
  const clock = testClock()
  const backoff = new Backoff(clock.now)
  t.notOk(backoff.pauses('k'))
  for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
    backoff.failed('k')
    clock.jump(seconds * 1_000 - 1)
    t.ok(backoff.pauses('k'), `${seconds} s`)
    t.notOk(backoff.pauses('another'))
    clock.jump(1)
    t.notOk(backoff.pauses('k'))
  }
  backoff.failed('k')
  backoff.succeeded('k')
  t.notOk(backoff.pauses('k'))
  backoff.failed('k')
  clock.jump(1_000)
  t.notOk(backoff.pauses('k'), 'the next failure begins with a second again')
})
