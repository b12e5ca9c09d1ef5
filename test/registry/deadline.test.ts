// Waits that end: what becomes of them when the event loop is held up.
import t from 'tap'
import { Deadline } from '../../registry/deadline.js'
import { Timeouts } from '../../registry/timeouts.js'
import { turns } from '../support/barrier.js'
import { holdUp } from '../support/slow.js'

const FOR_MS = 60
const HELD_UP_MS = 200

const over = (deadline: Deadline, sharing = 1): Promise<boolean> => new Promise((resolve) => { deadline.wait(resolve, { sharing }) })

t.test('deadline: a wait that an event loop which was held up let lapse begins anew', async (t) => {
  const began = performance.now()
  const wait = over(new Deadline(FOR_MS))
  holdUp(HELD_UP_MS)
  await wait
  t.ok(performance.now() - began >= HELD_UP_MS + FOR_MS - 2)
})

t.test('deadline: a wait begins anew once, and says when the loop was held up again', async (t) => {
  const wait = over(new Deadline(FOR_MS))
  holdUp(HELD_UP_MS)
  await turns(2)
  holdUp(HELD_UP_MS)
  const endedAt = wait.then(() => performance.now())
  const again = performance.now()
  t.equal(await wait, true)
  t.ok(await endedAt - again < FOR_MS, 'it is not begun a second time')
})

t.test('deadline: one that passed while nothing waited begins anew with the next wait, for all who share it', async (t) => {
  const deadline = new Deadline(FOR_MS)
  await over(deadline, 1_000)
  holdUp(HELD_UP_MS)
  const began = performance.now()
  await Promise.all([over(deadline), over(deadline)])
  t.ok(performance.now() - began >= FOR_MS - 2)
})

t.test('waits: those that an event loop which was held up let lapse begin anew, once, and end in their order', async (t) => {
  const waits = new Timeouts(FOR_MS, (operation) => new Error(operation))
  const ended: string[] = []
  const begin = (name: string) => waits.begin(({ message }) => { ended.push(message) }, name)
  begin('first')
  const second = begin('second')
  holdUp(HELD_UP_MS)
  const third = new Promise<void>((resolve) => { waits.begin(({ message }) => { ended.push(message); resolve() }, 'third') })
  await turns(3)
  t.same(ended, [])
  waits.over(second)
  holdUp(HELD_UP_MS)
  await third
  t.same(ended, ['first', 'third'])
  waits.close(new Error('closed'))
})
