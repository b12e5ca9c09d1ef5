// What was read lately: bounded by bytes, and hardly renewed where more is read than fits.
import t from 'tap'
import { Recent } from '../../registry/recent.js'

const MEBIBYTE = 1024 * 1024
const value = Buffer.alloc(100_000)

t.test('recent: all is taken while there is room, one in 32 when there is none', async (t) => {
  const recent = new Recent<{ value: Buffer }>()
  let held = 0
  for (; recent.takes(); held++) recent.hold(String(held), { value })
  t.ok(held * value.byteLength > 12 * MEBIBYTE && held * value.byteLength < 16 * MEBIBYTE, `${held} are held`)
  let taken = 0
  for (let read = 0; read < 3_200; read++) if (recent.takes()) taken++
  t.equal(taken, 100)
  recent.drop('0')
  recent.clear()
  t.ok(recent.takes(), 'there is room again')
})

t.test('recent: what was read longest ago goes, and what is too large is not held', async (t) => {
  const recent = new Recent<{ value: Buffer }>()
  for (let number = 0; number < 200; number++) {
    recent.hold(String(number), { value })
    recent.get('0')
  }
  t.ok(recent.get('0'))
  t.equal(recent.get('1'), undefined)
  t.ok(recent.get('199'))
  recent.hold('large', { value: Buffer.alloc(MEBIBYTE + 1) })
  t.equal(recent.get('large'), undefined)
})
