// Slots: pending items, by place and by key.
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { SlotMap, Slots } from '../../registry/slot-map.js'

t.test('slots: a place is used again, and its old item is dropped', async (t) => {
  const slots = new Slots<string>()
  const [first, second] = [slots.add('first'), slots.add('second')]
  slots.remove(first)
  t.equal(slots.at(first), undefined)
  t.same(slots.all(), ['second'])
  t.equal(slots.add('third'), first)
  slots.replace(second, 'other')
  t.same(slots.all(), ['third', 'other'])
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

t.test('slots: by key they behave like a Map', async (t) => {
  const slots = new SlotMap<number>()
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

t.test('slots: items that were added and removed are garbage-collected without a full collection', async (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as (options?: { type: 'minor' }) => void
  const slots = new SlotMap<object>()
  const underWay: string[] = []
  let number = 0
  const pass = (): void => {
    const key = `key ${number++}`
    slots.set(key, new Array(2_000).fill(number))
    underWay.push(key)
    if (underWay.length > 64) slots.delete(underWay.shift() as string)
  }
  for (let times = 0; times < 1_000; times++) pass()
  gc()
  // Items held now are old from here on, and only young objects are collected.
  const before = getHeapStatistics().used_heap_size
  for (let times = 0; times < 2_000; times++) {
    pass()
    if (times % 100 === 0) gc({ type: 'minor' })
  }
  gc({ type: 'minor' })
  const grownBytes = getHeapStatistics().used_heap_size - before
  t.ok(grownBytes < 8_000_000, `${grownBytes} of 32 000 000 bytes are left`)
})
