// Waits with a timeout, while the event loop is blocked.
import t from 'tap'
import { Deadline } from '../../registry/deadline.js'
import { Timeouts } from '../../registry/timeouts.js'
import { turns } from '../support/barrier.js'
import { holdUp } from '../support/slow.js'

const FOR_MS = 60
const HELD_UP_MS = 200

const over = (deadline: Deadline, sharing = 1): Promise<boolean> => new Promise((resolve) => { deadline.wait(resolve, { sharing }) })

t.test('deadline: a wait that passed while the event loop was blocked begins again', async (t) => {
  const began = performance.now()
  const wait = over(new Deadline(FOR_MS))
  holdUp(HELD_UP_MS)
  await wait
  t.ok(performance.now() - began >= HELD_UP_MS + FOR_MS - 2)
})

t.test('deadline: a wait begins again only once, and reports that the loop was blocked again', async (t) => {
  const wait = over(new Deadline(FOR_MS))
  holdUp(HELD_UP_MS)
  await turns(2)
  holdUp(HELD_UP_MS)
  const endedAt = wait.then(() => performance.now())
  const again = performance.now()
  t.equal(await wait, true)
  t.ok(await endedAt - again < FOR_MS, 'it does not begin a second time')
})

t.test('deadline: if it passed while nothing waited, it begins again with the next wait, for all waits that share it', async (t) => {
  const deadline = new Deadline(FOR_MS)
  await over(deadline, 1_000)
  holdUp(HELD_UP_MS)
  const began = performance.now()
  await Promise.all([over(deadline), over(deadline)])
  t.ok(performance.now() - began >= FOR_MS - 2)
})

t.test('timeouts: waits that passed while the event loop was blocked begin again, once, and end in order', async (t) => {
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
