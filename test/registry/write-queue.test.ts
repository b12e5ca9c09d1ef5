// Changes of keys in order, beside any backend: what waits, what stands for what, and what is taken back.
import fc from 'fast-check'
import t from 'tap'
import { WriteQueue, type Change } from '../../registry/write-queue.js'

/** A change that is carried out when it is told to be. */
function change (
  operation: Change['operation'], begun: string[], name: string
): Change & { end: () => void, fail: (error: Error) => void } {
  let end = (): void => {}
  let fail = (_error: Error): void => {}
  const over = new Promise<void>((resolve, reject) => { end = resolve; fail = reject })
  return { operation, end: () => end(), fail: (error) => fail(error), act () { begun.push(name); return over } }
}

const turn = (): Promise<void> => new Promise(setImmediate)

t.test('in order: the first change of a key begins at once, those of other keys too, and keys with one are known until it is over',
  async (t) => {
    const order = new WriteQueue()
    const begun: string[] = []
    const [first, other] = [change('set', begun, 'first'), change('delete', begun, 'other')]
    const both = [order.put('a 1', first), order.put('a 2', other)]
    t.same(begun, ['first', 'other'])
    t.same([order.keys(''), order.keys('a'), order.keys('a 2'), order.keys('b')], [['a 1', 'a 2'], ['a 1', 'a 2'], ['a 2'], []])
    t.same([order.size, order.has('a 1'), order.has('a')], [2, true, false])
    first.end()
    other.fail(new Error('refused'))
    t.match(await Promise.allSettled(both), [{ status: 'fulfilled' }, { status: 'rejected', reason: { message: 'refused' } }])
    t.equal(order.size, 0)
  })

t.test('in order: a set in whose place another one stands settles with that, and a failure is told to both', async (t) => {
  const order = new WriteQueue()
  const begun: string[] = []
  const [first, second, third] = [change('set', begun, 'first'), change('set', begun, 'second'), change('set', begun, 'third')]
  const calls = [first, second, third].map((one) => order.put('key', one))
  first.end()
  third.fail(new Error('refused'))
  t.same((await Promise.allSettled(calls)).map(({ status }) => status), ['fulfilled', 'rejected', 'rejected'])
  t.same(begun, ['first', 'third'])
})

t.test('in order: a delete is carried out before the set that came after it, which may fail', async (t) => {
  const order = new WriteQueue()
  const begun: string[] = []
  const [
    first, waiting, gone, last
  ] = [change('set', begun, 'first'), change('set', begun, 'waiting'), change('delete', begun, 'gone'), change('set', begun, 'last')]
  const calls = [first, waiting, gone, last].map((one) => order.put('key', one))
  first.end()
  gone.end()
  last.fail(new Error('refused'))
  t.same((await Promise.allSettled(calls)).map(({ status }) => status), ['fulfilled', 'fulfilled', 'fulfilled', 'rejected'])
  t.same(begun, ['first', 'gone', 'last'])
})

t.test('in order: of what is given up, a set that waits is dropped, a delete is not, and what is over already is nothing', async (t) => {
  const order = new WriteQueue()
  const begun: string[] = []
  const [first, gone, last] = [change('set', begun, 'first'), change('delete', begun, 'gone'), change('set', begun, 'last')]
  const calls = [first, gone, last]
  for (const one of calls) order.put('key', one).catch(() => {})
  for (const one of calls) order.giveUp('key', one)
  for (const one of calls) one.end()
  await turn()
  t.same(begun, ['first', 'gone'])
  t.equal(order.size, 0)
  order.giveUp('key', first)
})

t.test('in order: whatever is called, what was called last decides, and all calls settle', async (t) => {
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom('set', 'delete'), fc.nat(3))), async (calls) => {
    const order = new WriteQueue()
    let held = -1
    await Promise.all(calls.map(([operation, turns], at) => order.put('key', {
      operation: operation as Change['operation'],
      async act () {
        for (let wait = 0; wait < turns; wait++) await turn()
        held = operation === 'set' ? at : -1
      }
    })))
    return order.size === 0 && held === (calls.at(-1)?.[0] === 'set' ? calls.length - 1 : -1)
  }))
  t.pass('for every list that was tried')
})
