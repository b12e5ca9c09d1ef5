// Slots: things under way, by place and by key.
import t from 'tap'
import { KeyedSlots, Slots } from '../../registry/slots.js'

t.test('slots: a place is used again, and what was in it is let go of', async (t) => {
  const slots = new Slots<string>()
  const [first, second] = [slots.add('first'), slots.add('second')]
  slots.remove(first)
  t.equal(slots.at(first), undefined)
  t.same(slots.all(), ['second'])
  t.equal(slots.add('third'), first)
  slots.replace(second, 'other')
  t.same(slots.all(), ['third', 'other'])
})

t.test('slots: however many come and go, there are no more places than were ever taken at once', async (t) => {
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

t.test('slots: by key they hold what a Map would hold', async (t) => {
  const slots = new KeyedSlots<number>()
  const map = new Map<string, number>()
  const keys = ['', '__proto__', 'constructor', '0', 'a', 'b', 'c']
  let seed = 1
  const next = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below
  for (let step = 0; step < 10_000; step++) {
    const key = keys[next(keys.length)] as string
    if (next(2) === 0) {
      slots.set(key, step)
      map.set(key, step)
    } else {
      slots.delete(key)
      map.delete(key)
    }
    const other = keys[next(keys.length)] as string
    if (slots.get(other) !== map.get(other) || slots.size !== map.size) t.fail(`step ${step}`)
  }
  t.same(slots.all().sort(), [...map.values()].sort())
})
