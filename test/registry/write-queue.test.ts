// Changes of keys in order, for any backend: which wait, which replace others, and which are given up.
import fc from 'fast-check'
import t from 'tap'
import { WriteQueue, type Write } from '../../registry/write-queue.js'

interface HeldWrite extends Write {
  readonly act: () => unknown
  readonly end: () => void
  readonly fail: (error: Error) => void
}

/** A write that settles when the test ends or fails it. */
function change (operation: 'set' | 'delete', begun: string[], name: string, key = 'key'): HeldWrite {
  let end = (): void => {}
  let fail = (_error: Error): void => {}
  const over = new Promise<void>((resolve, reject) => { end = resolve; fail = reject })
  const entry = operation === 'set' ? { value: Buffer.from(name), expiresAt: Infinity } : undefined
  return { key, entry, end: () => end(), fail: (error) => fail(error), act () { begun.push(name); return over } }
}

const newQueue = (): WriteQueue<HeldWrite> => new WriteQueue({ carryOut: (write) => write.act() })

const turn = (): Promise<void> => new Promise(setImmediate)

t.test('write queue: the first change of each key begins at once, and keys are listed until their changes have settled',
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

t.test('write queue: a set that was replaced settles with the set that replaced it, and a failure rejects both', async (t) => {
  const order = newQueue()
  const begun: string[] = []
  const [first, second, third] = [change('set', begun, 'first'), change('set', begun, 'second'), change('set', begun, 'third')]
  const calls = [first, second, third].map((one) => order.put(one))
  first.end()
  third.fail(new Error('refused'))
  t.same((await Promise.allSettled(calls)).map(({ status }) => status), ['fulfilled', 'rejected', 'rejected'])
  t.same(begun, ['first', 'third'])
})

t.test('write queue: a delete is carried out before the later set, which may fail', async (t) => {
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

t.test('write queue: giving up drops a waiting set, but neither a delete nor a change that has begun', async (t) => {
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

t.test('write queue: for any calls, the last one decides, and all calls settle', async (t) => {
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

t.test('write queue: find returns the last waiting write, and writes beyond maxRunning wait for their turn', async (t) => {
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

t.test('write queue: after close nothing begins, and all waiting changes reject', async (t) => {
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
