// Fills that are under way: which of a key are overtaken, and which request a handler makes itself.
import t from 'tap'
import { FillsUnderWay } from '../../response/fill/fills-under-way.js'

const fillOf = (key: string) => ({ key, mayStore: true, flight: undefined })

t.test('a fill that stores overtakes those of its key that began before it, and no others', async (t) => {
  const fills = new FillsUnderWay()
  const places = ['a', 'a', 'a', 'b'].map((key) => fills.begin(fillOf(key), false))
  fills.supersede(places[1]!)
  t.same(places.map(({ isSuperseded }) => isSuperseded), [true, false, false, false])
})

t.test('a fill may end twice: the others of its key, and those of others, go on', async (t) => {
  const fills = new FillsUnderWay()
  const first = fills.begin(fillOf('a'), true)
  const second = fills.begin(fillOf('a'), true)
  fills.end(first)
  fills.end(first)
  const isNested = fills.follow(second, () => fills.isNested('a', () => false))
  t.same(second.among, [second])
  t.equal(isNested, true)
})

t.test('a request for what its own handler fills is nested, until the fill is over', async (t) => {
  const fills = new FillsUnderWay()
  const place = fills.begin(fillOf('a'), true)
  const asks = (key: string): boolean => fills.follow(place, () => fills.isNested(key, () => false))
  t.equal(asks('a'), true)
  t.equal(asks('b'), false)
  t.equal(fills.isNested('a', () => false), false)
  fills.end(place)
  t.equal(asks('a'), false)
})
