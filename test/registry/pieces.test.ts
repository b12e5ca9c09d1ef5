// Pieces of a body: gathered in order, in at most twice the memory of their bytes, and copied when they are added.
import t from 'tap'
import { Pieces } from '../../registry/pieces.js'
import { seeded } from '../support/seeded.js'

/** Adds pieces of these sizes. Returns their concatenation, and the memory that was charged for them. */
function gathered (sizes: readonly number[]): { pieces: Pieces, expected: Buffer, chargedBytes: number } {
  const pieces = new Pieces()
  const given = sizes.map((size, at) => Buffer.alloc(size, at % 251))
  let chargedBytes = 0
  for (const piece of given) {
    chargedBytes += pieces.costOf(piece.byteLength)
    pieces.add(piece)
  }
  return { pieces, expected: Buffer.concat(given), chargedBytes }
}

t.test('pieces: the whole is the pieces in order, in memory of its own', async (t) => {
  const random = seeded(11)
  const lists = Array.from({ length: 200 }, () => Array.from({ length: Math.floor(random() * 60) }, () => Math.floor(random() ** 4 * 5e3)))
  for (const sizes of [[], [0], [0, 0, 1, 0], [5], [1_000, 1], [1, 1_000], [3_000_000, 1, 3_000_000], ...lists]) {
    const { pieces, expected } = gathered(sizes)
    const whole = pieces.whole()
    t.ok(whole.equals(expected), String(sizes))
    t.equal(pieces.bytes, expected.byteLength)
    t.equal(whole.buffer.byteLength, expected.byteLength, 'no other bytes are kept with it')
  }
})

t.test('pieces: the charge is at most twice the bytes plus one piece, for any sizes', async (t) => {
  const random = seeded(12)
  const lists = [1, 2, 7, 100, 4_096, 65_536].map((size) => Array.from({ length: 3_000 }, () => size))
  const mixed = Array.from({ length: 3_000 }, () => random() < 0.5 ? 1 : 4_096)
  for (const sizes of [...lists, mixed]) {
    const { expected, chargedBytes } = gathered(sizes)
    t.ok(chargedBytes >= expected.byteLength, 'not less than the bytes')
    t.ok(chargedBytes <= 2 * expected.byteLength + Math.max(...sizes), `${chargedBytes} for ${expected.byteLength}`)
  }
})

t.test('pieces: a body in one piece is copied once', async (t) => {
  const pieces = new Pieces()
  const piece = Buffer.from('in one piece')
  t.equal(pieces.costOf(piece.byteLength), piece.byteLength)
  pieces.add(piece)
  piece.fill('x')
  const whole = pieces.whole()
  t.equal(whole.toString(), 'in one piece', 'a later change of the piece has no effect')
  t.equal(pieces.whole(), whole, 'the copy is the whole')
})
