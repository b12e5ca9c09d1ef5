// A store of bytes worn as a backend: what is over, and walks over stores that are awkward to walk over.
import t from 'tap'
import { encodeRecord, storedKey } from '../../registry/codec.js'
import { name, TestStore, wear } from '../support/byte-store.js'
import { testClock } from '../support/clock.js'
import { conforms } from '../support/conformance.js'
import { failureOf, textAt } from '../support/entries.js'
import { entry } from '../support/redis.js'
import { sized } from '../support/size.js'

// A tenth of that is remembered whole.
const MORE_THAN_REMEMBERED = sized(10_050)

t.test('a store that can be listed, and reads several at once, conforms', async (t) => {
  const clock = testClock()
  class Many extends TestStore {
    async getMany (names: readonly string[]): Promise<Array<Uint8Array | undefined>> { return names.map((name) => this.held.get(name)) }
  }
  await conforms(t, { ...clock, open: async () => wear(t, new Many(), { clock }).backend })
})

t.test('byte store: a store that throws at once fails the call and nothing else', async (t) => {
  const { backend } = wear(t, { forgets: true, get () { throw new Error('at once') }, set () {}, delete () {}, close () {} })
  t.match(await failureOf(() => backend.get('key')), { message: 'at once' })
})

t.test('byte store: clear waits for what was set before, and takes what nobody can read only when it takes everything', async (t) => {
  const store = new TestStore()
  const { backend } = wear(t, store)
  const setting = backend.set('key', entry('value'))
  await Promise.all([setting, backend.clear!('k')])
  t.equal(await backend.get('key'), undefined)
  store.held.set(name('damaged'), Buffer.from('damaged'))
  await backend.clear!('damaged')
  t.equal(store.held.size, 1)
  await backend.clear!()
  t.equal(store.held.size, 0)
})

t.test('byte store: a walk in which the store hangs or fails rejects', async (t) => {
  const store = new TestStore()
  const { backend } = wear(t, store, { timeoutMs: 50 })
  await backend.set('key', entry('value'))
  store.act = (operation) => { if (operation === 'list') throw new Error('no listing today') }
  for (const call of [() => backend.clear!(), () => backend.keys!(), () => backend.size!()]) {
    t.match(await failureOf(call), { message: 'no listing today' })
  }
  store.act = (operation) => operation === 'list' ? new Promise(() => {}) : undefined
  t.match(await failureOf(() => backend.clear!()), { message: /'test' failed in clear: the store did not respond within 50 ms/ })
  store.act = (operation) => { if (operation === 'delete') throw new Error('not this one') }
  t.match(await failureOf(() => backend.clear!()), { message: 'not this one' })
})

t.test('byte store: an entry that is over is removed when it is met, unless the store does that, and never one that was set since',
  async (t) => {
    const store = new TestStore()
    const { backend, clock } = wear(t, store)
    await backend.set('key', entry('value', 1_000))
    await clock.pass(1_000)
    t.equal(await backend.get('key'), undefined)
    await backend.set('key', { value: Buffer.from('again'), expiresAt: clock.now() + 1_000 })
    t.equal(await textAt(backend, 'key'), 'again')
    await clock.pass(1_000)
    store.forgets = true
    await backend.get('key')
    store.forgets = false
    t.equal(store.held.size, 1)
    await backend.get('key')
    await backend.delete('another')
    t.equal(store.held.size, 0)
  })

t.test('byte store: however many readers meet an entry that is over, it is removed once, and whoever sets it anew waits for none of that',
  async (t) => {
    const store = new TestStore()
    const { backend, clock } = wear(t, store)
    await backend.set('key', entry('value', 1_000))
    await clock.pass(1_000)
    store.asked.length = 0
    await Promise.all(Array.from({ length: 5 }, () => backend.get('key')))
    await new Promise(setImmediate)
    t.same(store.asked, [...Array(5).fill('get'), 'get', 'delete'])
    await backend.set('key', { value: Buffer.from('value'), expiresAt: clock.now() + 1_000 })
    await clock.pass(1_000)
    const looks: Array<() => void> = []
    store.act = (operation) => store.asked.filter((one) => one === 'get').length > 1 && operation === 'get' &&
      new Promise<void>((resolve) => { looks.push(resolve) })
    store.asked.length = 0
    t.equal(await backend.get('key'), undefined)
    await backend.set('key', { value: Buffer.from('again'), expiresAt: clock.now() + 1_000 })
    t.same(store.asked, ['get', 'get', 'set'], 'while the store is looked at once more')
    store.act = () => undefined
    for (const goOn of looks) goOn()
    await new Promise(setImmediate)
    t.same(store.asked, ['get', 'get', 'set'])
    t.equal(await textAt(backend, 'key'), 'again')
  })

t.test('byte store: a clear of a store that keeps what it is told to delete rejects', async (t) => {
  for (const [count, prefix] of [[1, ''], [1, 'key'], [MORE_THAN_REMEMBERED, 'key']] as const) {
    const store = new TestStore()
    const { backend } = wear(t, store, { timeoutMs: 60_000 })
    for (let number = 0; number < count; number++) {
      store.held.set(name(`key ${number}`), encodeRecord(storedKey(`key ${number}`), entry('value')))
    }
    store.delete = async () => {}
    t.match(await failureOf(() => backend.clear!(prefix)), {
      code: 'CACHE_ERR_BACKEND_FAILED', message: /'test' failed in clear: the store still has a value that it was told to delete/
    })
  }
})

t.test('byte store: a clear takes no entry that is set anew all the time for one that was kept', async (t) => {
  const store = new TestStore()
  const { backend } = wear(t, store)
  let number = 0
  const setAnew = () => store.held.set(name('key'), encodeRecord(storedKey('key'), entry(`value ${number++}`)))
  setAnew()
  const forget = store.delete.bind(store)
  store.delete = async (name) => {
    await forget(name)
    setAnew()
  }
  await backend.clear!()
  t.equal(number, 4)
})

t.test('byte store: the sweep removes what is over, and what was damaged two times; it ends when the backend closes', async (t) => {
  const store = new TestStore()
  const { backend, sweep, clock } = wear(t, store)
  for (const key of ['a', 'b', 'c']) await backend.set(key, entry(key, key === 'b' ? 60_000 : 1_000))
  const half = encodeRecord(storedKey('half'), entry('half of it')).subarray(0, 40)
  store.held.set(name('half'), half)
  store.held.set(name('moved'), encodeRecord(storedKey('of another key'), entry('value')))
  await clock.pass(1_000)
  await sweep()
  t.same([...store.held.keys()].sort(), [name('b'), name('half'), name('moved')].sort())
  store.held.set(name('half'), encodeRecord(storedKey('half'), entry('half of it')))
  await sweep()
  t.same((await backend.keys!()).sort(), ['b', 'half'])
  t.equal(store.held.size, 2)
  store.act = (operation) => { if (operation === 'list') backend.close() }
  await sweep()
  t.equal(store.closes, 1)
})

t.test('byte store: a failing sweep tells why', async (t) => {
  const store = new TestStore()
  const { backend, sweep } = wear(t, store)
  await backend.set('key', entry('value'))
  store.act = () => { throw new Error('out of order') }
  t.match(await failureOf(() => sweep()), { message: 'out of order' })
})

t.test('byte store: of more keys than are remembered, clear leaves none', async (t) => {
  const store = new TestStore()
  const { backend } = wear(t, store)
  const value = Buffer.from('value')
  for (let number = 0; number < MORE_THAN_REMEMBERED; number++) {
    const key = `key ${number}`
    store.held.set(name(key), encodeRecord(storedKey(key), { value, expiresAt: 2e12 }))
  }
  await backend.clear!('key')
  t.equal(store.held.size, 0)
})
