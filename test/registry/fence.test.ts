// The fence: every move of a name is known, in a fixed amount of memory.
import fc from 'fast-check'
import t from 'tap'
import { Fence } from '../../registry/fence.js'
import { sized } from '../support/size.js'

t.test('fence: a name that moved after a mark has moved since that mark, and not since a later one', async (t) => {
  const fence = new Fence()
  const mark = fence.mark
  t.notOk(fence.movedSince(mark, () => { throw new Error('names must not be requested') }))
  fence.move('a')
  t.ok(fence.movedSince(mark, () => ['b', 'a']))
  t.notOk(fence.movedSince(mark, () => []))
  t.notOk(fence.movedSince(fence.mark, () => ['a']), 'not since a later mark')
})

t.test('fence: after moveAll every name has moved', async (t) => {
  const fence = new Fence()
  const mark = fence.mark
  fence.moveAll()
  t.ok(fence.movedSince(mark, () => ['never heard of']))
  t.ok(fence.movedSince(mark, () => []))
  t.notOk(fence.movedSince(fence.mark, () => ['a']))
})

t.test('fence: no move is missed for any order of names and marks, and a collision only reports a move too often', async (t) => {
  const name = fc.oneof(fc.string({ maxLength: 4 }), fc.string({ unit: 'binary', maxLength: 3 }))
  fc.assert(fc.property(fc.array(
    fc.oneof(name.map((moved) => ({ moved })), fc.constant({ marked: true as const }), fc.constant({ all: true as const })),
    { maxLength: 40 }), (steps) => {
    const fence = new Fence()
    const marks: Array<{ mark: number, moved: Set<string>, all: boolean }> = []
    for (const step of steps) {
      if ('marked' in step) marks.push({ mark: fence.mark, moved: new Set(), all: false })
      else if ('all' in step) {
        fence.moveAll()
        for (const one of marks) one.all = true
      } else {
        fence.move(step.moved)
        for (const one of marks) one.moved.add(step.moved)
      }
    }
    return marks.every(({ mark, moved, all }) =>
      [...moved].every((each) => fence.movedSince(mark, () => ['x', each])) && (!all || fence.movedSince(mark, () => [])))
  }), { numRuns: sized(5_000) })
  t.pass('for every list of steps that was tried')
})

t.test('fence: a million names take no memory, and two names rarely share a place', async (t) => {
  const fence = new Fence()
  const mark = fence.mark
  for (let at = 0; at < 40; at++) fence.move(`t product-${at}`)
  let wrong = 0
  for (let at = 0; at < 10_000; at++) if (fence.movedSince(mark, () => [`0:r GET 9:/items/:id ${at}`])) wrong++
  t.ok(wrong < 400, `${wrong} of 10000 names share a place with one of 40`)
  const before = process.memoryUsage().heapUsed
  for (let at = 0; at < 1e6; at++) fence.move(`k${at}`)
  t.ok(process.memoryUsage().heapUsed - before < 100e6, 'nothing is kept of them')
  t.ok(fence.movedSince(mark, () => ['k0']))
})
