// The clock cache: bounded in bytes, rarely renewed if more is read than fits, and keeps recently used members longer.
import t from 'tap'
import { ClockCache, type Member } from '../../registry/clock-cache.js'

const MAX_BYTES = 1_600
const BYTES = 10
const member = (): Member => ({ bytes: 0, wasUsed: false, slot: 0 })
const isKept = ({ bytes }: Member): boolean => bytes > 0

t.test('clock cache: every member is accepted while there is room, and one in 32 when there is none', async (t) => {
  const recent = new ClockCache<Member>(MAX_BYTES, () => {})
  const first = member()
  recent.add(first, BYTES)
  let kept = 1
  for (; recent.takes(); kept++) recent.add(member(), BYTES)
  t.ok(kept > 140 && kept < 150, `${kept} are kept`)
  let taken = 0
  for (let others = 0; others < 3_200; others++) if (recent.takes()) taken++
  t.equal(taken, 100)
  recent.clear()
  t.notOk(isKept(first))
  t.ok(recent.takes(), 'there is room again')
})

t.test('clock cache: unused members are evicted, the owner is told of each, and a member that is too large is not kept', async (t) => {
  const gone = new Set<Member>()
  const recent = new ClockCache<Member>(MAX_BYTES, (member) => gone.add(member))
  const members = Array.from({ length: 1_000 }, member)
  for (const one of members) {
    recent.add(one, BYTES)
    members[0]!.wasUsed = true
  }
  const kept = members.filter(isKept)
  t.equal(kept.length, 160)
  t.ok(kept.includes(members[0]!), 'the used member')
  t.ok(kept.includes(members.at(-1)!), 'the last member')
  t.equal(gone.size, members.length - kept.length)
  t.ok(kept.every((one) => !gone.has(one)))
  t.ok(recent.add(member(), MAX_BYTES / 16))
  t.notOk(recent.add(member(), MAX_BYTES / 16 + 1))
})

t.test('clock cache: unused members are evicted in the order in which they were added', async (t) => {
  const gone: Member[] = []
  const recent = new ClockCache<Member>(MAX_BYTES, (member) => gone.push(member))
  const members = Array.from({ length: 200 }, member)
  for (const one of members) recent.add(one, BYTES)
  t.same(gone.map((one) => members.indexOf(one)), Array.from({ length: 40 }, (_, at) => at))
})

t.test('clock cache: members are evicted even if all are in use', async (t) => {
  const recent = new ClockCache<Member>(MAX_BYTES, () => {})
  const members = Array.from({ length: 1_000 }, member)
  for (const one of members) {
    recent.add(one, BYTES)
    for (const other of members) other.wasUsed = true
  }
  t.equal(members.filter(isKept).length, 160)
})

t.test('clock cache: after any removals and additions no member is there twice, and all room becomes free again', async (t) => {
  const recent = new ClockCache<Member>(MAX_BYTES, () => {})
  const members = Array.from({ length: 10 }, member)
  for (let round = 0; round < 1_000; round++) {
    const one = members[round * 7 % 10]!
    recent.remove(one)
    if (round % 3 > 0) recent.add(one, 1 + round % 90)
    const slots = members.filter(isKept).map(({ slot }) => slot)
    if (new Set(slots).size < slots.length) t.fail(`round ${round}: two in one slot`)
  }
  for (const one of members) recent.remove(one)
  for (let number = 0; number < 14; number++) recent.add(member(), 100)
  t.ok(recent.takes(), 'no room is lost')
})
