// What was read lately: bounded by bytes, hardly renewed where more is read than fits, and what is used stays longer.
import t from 'tap'
import { Recent, type Holder } from '../../registry/recent.js'

const MEBIBYTE = 1024 * 1024
const read = { value: Buffer.alloc(100_000) }
const holder = (): Holder<typeof read> => ({ held: undefined, bytes: 0, wasUsed: false, slot: 0 })

t.test('recent: all is taken while there is room, one in 32 when there is none', async (t) => {
  const recent = new Recent<typeof read, Holder<typeof read>>()
  const first = holder()
  recent.hold(first, read)
  let held = 1
  for (; recent.takes(); held++) recent.hold(holder(), read)
  t.ok(held * read.value.byteLength > 12 * MEBIBYTE && held * read.value.byteLength < 16 * MEBIBYTE, `${held} are held`)
  let taken = 0
  for (let others = 0; others < 3_200; others++) if (recent.takes()) taken++
  t.equal(taken, 100)
  recent.clear()
  t.equal(first.held, undefined)
  t.ok(recent.takes(), 'there is room again')
})

t.test('recent: what was not used goes, who has it is told, and what is too large is not held', async (t) => {
  const gone = new Set<Holder<typeof read>>()
  const recent = new Recent<typeof read, Holder<typeof read>>((holder) => gone.add(holder))
  const holders = Array.from({ length: 1_000 }, holder)
  for (const one of holders) {
    recent.hold(one, read)
    holders[0]!.wasUsed = true
  }
  const held = holders.filter((one) => one.held !== undefined)
  t.ok(held.length > 120 && held.length < 168, `${held.length} are held`)
  t.ok(held.includes(holders[0]!), 'the used one')
  t.ok(held.includes(holders.at(-1)!), 'the last one')
  t.equal(gone.size, holders.length - held.length)
  t.ok(held.every((one) => !gone.has(one)))
  t.notOk(recent.hold(holders[0]!, { value: Buffer.alloc(MEBIBYTE + 1) }))
  t.equal(holders[0]!.held, undefined, 'nor what was there before')
})

t.test('recent: where all are used, something goes all the same', async (t) => {
  const recent = new Recent<typeof read, Holder<typeof read>>()
  const holders = Array.from({ length: 1_000 }, holder)
  for (const one of holders) {
    recent.hold(one, read)
    for (const other of holders) other.wasUsed = true
  }
  const held = holders.filter((one) => one.held !== undefined)
  t.ok(held.length > 120 && held.length < 168, `${held.length} are held`)
})

t.test('recent: whatever is dropped and held again, none is held twice and all room comes back', async (t) => {
  const recent = new Recent<typeof read, Holder<typeof read>>()
  const holders = Array.from({ length: 10 }, holder)
  for (let round = 0; round < 1_000; round++) {
    const one = holders[round * 7 % 10]!
    if (round % 3 === 0) recent.drop(one)
    else recent.hold(one, read)
    const slots = holders.filter(({ held }) => held !== undefined).map(({ slot }) => slot)
    if (new Set(slots).size < slots.length) t.fail(`round ${round}: two in one slot`)
  }
  for (const one of holders) recent.drop(one)
  const large = { value: Buffer.alloc(MEBIBYTE) }
  for (let number = 0; number < 14; number++) recent.hold(holder(), large)
  t.ok(recent.takes(), 'no room is lost')
})

t.test('recent: keys count too, and what has a key that is too large is not held', async (t) => {
  const recent = new Recent<typeof read, Holder<typeof read>>()
  const small = { value: Buffer.alloc(1) }
  const holders = Array.from({ length: 100 }, holder)
  for (const one of holders) recent.hold(one, small, MEBIBYTE)
  t.equal(holders.filter(({ held }) => held !== undefined).length, 15)
  t.notOk(recent.hold(holder(), small, MEBIBYTE + 1))
})

t.test('recent: what somebody takes the bytes of away counts as it did', async (t) => {
  const recent = new Recent<typeof read, Holder<typeof read>>()
  for (let number = 0; number < 1_000; number++) {
    const value = Buffer.from(new ArrayBuffer(100_000))
    recent.hold(holder(), { value })
    structuredClone(value.buffer, { transfer: [value.buffer] })
  }
  t.notOk(recent.takes(), 'it is full, and nothing threw')
})
