// Changes of keys in order, beside any backend: what waits, what stands for what, and what is taken back.
import fc from 'fast-check'
import t from 'tap'
import { WriteQueue, type Write } from '../../registry/write-queue.js'

interface HeldWrite extends Write {
  readonly act: () => unknown
  readonly end: () => void
  readonly fail: (error: Error) => void
}

/** A write that is carried out when it is told to be. */
function change (operation: 'set' | 'delete', begun: string[], name: string, key = 'key'): HeldWrite {
  let end = (): void => {}
  let fail = (_error: Error): void => {}
  const over = new Promise<void>((resolve, reject) => { end = resolve; fail = reject })
  const entry = operation === 'set' ? { value: Buffer.from(name), expiresAt: Infinity } : undefined
  return { key, entry, end: () => end(), fail: (error) => fail(error), act () { begun.push(name); return over } }
}

const newQueue = (): WriteQueue<HeldWrite> => new WriteQueue({ carryOut: (write) => write.act() })

const turn = (): Promise<void> => new Promise(setImmediate)

t.test('in order: the first change of a key begins at once, those of other keys too, and keys with one are known until it is over',
  async (t) => {
    const order = newQueue()
    const begun: string[] = []
    const [first, other] = [change('set', begun, 'first', 'a 1'), change('delete', begun, 'other', 'a 2')]
    const both = [order.put(first), order.put(other)]
    t.same(begun, ['first', 'other'])
    t.same([order.keys(''), order.keys('a'), order.keys('a 2'), order.keys('b')], [['a 1', 'a 2'], ['a 1', 'a 2'], ['a 2'], []])
    t.same([order.waiting, order.has('a 1'), order.has('a')], [2, true, false])
    first.end()
    other.fail(new Error('refused'))
    t.match(await Promise.allSettled(both), [{ status: 'fulfilled' }, { status: 'rejected', reason: { message: 'refused' } }])
    t.equal(order.waiting, 0)
  })

t.test('in order: a set in whose place another one stands settles with that, and a failure is told to both', async (t) => {
  const order = newQueue()
  const begun: string[] = []
  const [first, second, third] = [change('set', begun, 'first'), change('set', begun, 'second'), change('set', begun, 'third')]
  const calls = [first, second, third].map((one) => order.put(one))
  first.end()
  third.fail(new Error('refused'))
  t.same((await Promise.allSettled(calls)).map(({ status }) => status), ['fulfilled', 'rejected', 'rejected'])
  t.same(begun, ['first', 'third'])
})

t.test('in order: a delete is carried out before the set that came after it, which may fail', async (t) => {
  const order = newQueue()
  const begun: string[] = []
  const [
    first, waiting, gone, last
  ] = [change('set', begun, 'first'), change('set', begun, 'waiting'), change('delete', begun, 'gone'), change('set', begun, 'last')]
  const calls = [first, waiting, gone, last].map((one) => order.put(one))
  first.end()
  gone.end()
  last.fail(new Error('refused'))
  t.same((await Promise.allSettled(calls)).map(({ status }) => status), ['fulfilled', 'fulfilled', 'fulfilled', 'rejected'])
  t.same(begun, ['first', 'gone', 'last'])
})

t.test('in order: of what is given up, a set that waits is dropped, a delete is not, and what is over already is nothing', async (t) => {
  const order = newQueue()
  const begun: string[] = []
  const [first, gone, last] = [change('set', begun, 'first'), change('delete', begun, 'gone'), change('set', begun, 'last')]
  const calls = [first, gone, last]
  for (const one of calls) order.put(one).catch(() => {})
  for (const one of calls) order.giveUp(one)
  for (const one of calls) one.end()
  await turn()
  t.same(begun, ['first', 'gone'])
  t.equal(order.waiting, 0)
  order.giveUp(first)
})

t.test('in order: whatever is called, what was called last decides, and all calls settle', async (t) => {
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom('set', 'delete'), fc.nat(3))), async (calls) => {
    const order = newQueue()
    let held = -1
    await Promise.all(calls.map(([operation, turns], at) => order.put({
      ...change(operation as 'set' | 'delete', [], ''),
      async act () {
        for (let wait = 0; wait < turns; wait++) await turn()
        held = operation === 'set' ? at : -1
      }
    })))
    return order.waiting === 0 && held === (calls.at(-1)?.[0] === 'set' ? calls.length - 1 : -1)
  }))
  t.pass('for every list that was tried')
})

t.test('in order: reads are told the last write that waits, and a write beside those that may run waits for its turn', async (t) => {
  const begun: string[] = []
  const order = new WriteQueue<HeldWrite>({ carryOut: (write) => write.act(), maxRunning: 1 })
  const [first, second, gone] = [change('set', begun, 'first'), change('set', begun, 'second', 'other'), change('delete', begun, 'gone')]
  const calls = [first, second, gone].map((one) => order.put(one))
  t.same([order.find('key'), order.find('other'), order.find('none')], [gone, second, undefined])
  t.same(begun, ['first'])
  first.end()
  await turn()
  t.same(begun, ['first', 'gone', 'second'], 'the delete goes first')
  for (const one of [second, gone]) one.end()
  await Promise.all([...calls, order.flush()])
  t.equal(order.find('key'), undefined)
})

t.test('in order: after close nothing begins, and all that waits is refused', async (t) => {
  const begun: string[] = []
  const order = newQueue()
  const [first, second, third] = [change('set', begun, 'first'), change('set', begun, 'second'), change('set', begun, 'third')]
  const calls = [first, second].map((one) => order.put(one))
  for (let times = 0; times < 2; times++) order.close(({ key }) => new Error(`${key} was closed`))
  calls.push(order.put(third))
  t.same((await Promise.allSettled(calls)).map((call) => (call as PromiseRejectedResult).reason?.message), Array(3).fill('key was closed'))
  first.end()
  await turn()
  t.same(begun, ['first'])
})
