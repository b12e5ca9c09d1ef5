// Random texts: each has its length and its alphabet, and none is returned twice, however often more of them are made at once.
import t from 'tap'
import { randomTexts } from '../../registry/random-text.js'

for (const characters of [8, 12]) {
  t.test(`random texts of ${characters} characters`, async (t) => {
    const next = randomTexts(characters)
    const texts = Array.from({ length: 10_000 }, next)
    t.ok(texts.every((text) => text.length === characters && /^[\w-]+$/.test(text)))
    t.equal(new Set(texts).size, texts.length)
    t.equal(new Set(texts.join('')).size, 64, 'all characters occur')
  })
}
