// Where backends keep their data under cache-bench: in a private folder unless the user named a place.
import t from 'tap'

// cache-bench imports the package by its name, as it is built.
const { sourcesOf } = await import('../../benchmarks/cache-bench/sources.js')

const opened = (backend: string, options: object = {}) => sourcesOf([{ backend, options }])[0]!.at('/private').options

t.test('sources: a backend that needs a place gets a private one', async (t) => {
  t.same(opened('sqlite', { maxEntries: 5 }), { maxEntries: 5, path: '/private/cache.db' })
  t.same(opened('file'), { dir: '/private/entries' })
  t.same(opened('memory', { maxBytes: 5 }), { maxBytes: 5 })
})

t.test('sources: each tier gets its own private place', async (t) => {
  const tiers = [{ backend: 'memory' }, { backend: 'sqlite' }, { backend: 'sqlite', options: { path: 'named.db' } }, { backend: 'file' }]
  t.same(opened('tiered', { tiers, nearTtl: 5 }), {
    nearTtl: 5,
    tiers: [
      { backend: 'memory' }, { backend: 'sqlite', options: { path: '/private/1-cache.db' } }, tiers[2],
      { backend: 'file', options: { dir: '/private/3-entries' } }
    ]
  })
})

t.test('sources: data outlives the run in a named place, and in a backend that needs no place', async (t) => {
  const stays = (backend: string, options: object = {}): boolean => sourcesOf([{ backend, options }])[0]!.stays
  t.same([stays('memory'), stays('sqlite'), stays('file'), stays('sqlite', { path: ':memory:' })], [false, false, false, false])
  t.same([stays('sqlite', { path: 'a.db' }), stays('file', { dir: 'a' }), stays('redis', { url: 'redis://x' })], [true, true, true])
  t.equal(stays('tiered', { tiers: [{ backend: 'memory' }, { backend: 'file' }] }), false)
  t.equal(stays('tiered', { tiers: [{ backend: 'memory' }, { backend: 'redis' }] }), true)
})

t.test('sources: equal names are numbered', async (t) => {
  const asked = [{ backend: 'memory', options: {} }, { backend: 'memory', options: {} }, { backend: 'sqlite', options: {}, name: 'memory' }]
  t.same(sourcesOf(asked).map(({ name }) => name), ['memory', 'memory (2)', 'memory (3)'])
})
