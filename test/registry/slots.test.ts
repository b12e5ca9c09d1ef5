// Slots: pending items, each in a place that is used again.
import t from 'tap'
import { Slots } from '../../registry/slots.js'
import { leftBytes } from '../support/garbage.js'

t.test('slots: a place is used again, and its old item is dropped', async (t) => {
  const slots = new Slots<string>()
  const first = slots.add('first')
  slots.add('second')
  slots.remove(first)
  t.equal(slots.at(first), undefined)
  t.same(slots.all(), ['second'])
  t.equal(slots.add('third'), first)
  t.same(slots.all(), ['third', 'second'])
})

t.test('slots: there are never more places than were in use at the same time', async (t) => {
  const slots = new Slots<number>()
  const places = new Set<number>()
  for (let round = 0; round < 1_000; round++) {
    const taken = Array.from({ length: round % 7 }, (_, number) => slots.add(number))
    for (const place of taken) {
      places.add(place)
      slots.remove(place)
    }
  }
  t.equal(places.size, 6)
})

t.test('slots: items that were added and removed are garbage-collected without a full collection', async (t) => {
  const slots = new Slots<object>()
  const underWay: number[] = []
  const grownBytes = leftBytes((large) => {
    underWay.push(slots.add(large))
    if (underWay.length > 64) slots.remove(underWay.shift() as number)
  })
  t.ok(grownBytes < 8_000_000, `${grownBytes} of 32 000 000 bytes are left`)
})
