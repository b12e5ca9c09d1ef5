// A store of strings as a backend: strings and whole seconds in the store, bytes and instants above it.
import fc from 'fast-check'
import t from 'tap'
import { fromStringStore } from '../../registry/string-store.js'
import { powersOf } from '../../registry/backend.js'
import { testClock } from '../support/clock.js'
import { stringMap } from '../support/string-map.js'

function setUp () {
  const clock = testClock()
  const store = stringMap(clock.now)
  return { clock, store, backend: fromStringStore(store, { now: clock.now }) }
}

t.test('string store: the store receives whole seconds, rounded up, and the entry expires at its own millisecond', async (t) => {
  const { clock, store, backend } = setUp()
  await backend.set('key', { value: Buffer.from('value'), expiresAt: clock.now() + 1_500 })
  t.equal(store.texts.get('key')?.until, clock.now() + 2_000)
  await clock.pass(1_499)
  t.ok(await backend.get('key'))
  await clock.pass(1)
  t.ok(await store.get('key'), 'the store still holds the text')
  t.equal(await backend.get('key'), undefined)
})

t.test('string store: a fractional instant is rounded down, never up', async (t) => {
  const { clock, backend } = setUp()
  const expiresAt = clock.now() + 10.9
  await backend.set('key', { value: Buffer.from('value'), expiresAt })
  t.equal((await backend.get('key'))?.expiresAt, Math.floor(expiresAt))
})

t.test('string store: an expired entry is deleted from the store, and never set with a lifetime of zero or less', async (t) => {
  const { clock, store, backend } = setUp()
  await backend.set('key', { value: Buffer.from('value'), expiresAt: clock.now() + 1_000 })
  for (const expiresAt of [clock.now(), clock.now() - 1, -Infinity, NaN]) {
    await backend.set('key', { value: Buffer.from('late'), expiresAt })
    t.equal(store.texts.size, 0, String(expiresAt))
  }
})

t.test('string store: a text that is not ours is a miss', async (t) => {
  const { clock, store, backend } = setUp()
  for (const text of [
    '', ' ', 'value', '5', 'x YQ==', ' YQ==', 'NaN YQ==', 'Infinity YQ==', '1.5e999 YQ==', `-${clock.now() + 1_000} YQ==`,
    '{"expires":1} YQ==', `${clock.now() + 0.5} YQ==`
  ]) {
    await store.set('key', text, 60)
    t.equal(await backend.get('key'), undefined, JSON.stringify(text))
  }
})

t.test('string store: a result that is not text is a miss', async (t) => {
  for (const result of [null, undefined, 5, {}, Buffer.from('9999999999999 YQ=='), ['9999999999999 YQ==']]) {
    const backend = fromStringStore({ ...stringMap(Date.now), get: () => result as never })
    t.equal(await backend.get('key'), undefined)
  }
})

t.test('string store: the backend rejects with the error that the store throws or rejects with', async (t) => {
  const { backend, store, clock } = setUp()
  const entry = { value: Buffer.from('value'), expiresAt: clock.now() + 1_000 }
  for (const method of ['get', 'set', 'delete', 'close'] as const) {
    const failure = new Error(`${method} failed`)
    const throwing = fromStringStore({ ...store, [method] () { throw failure } }, { now: clock.now })
    const rejecting = fromStringStore({ ...store, [method]: async () => { throw failure } }, { now: clock.now })
    for (const failing of [throwing, rejecting]) await t.rejects(async () => failing[method]('key', entry), failure)
  }
  await backend.close()
})

t.test('string store: methods of the store are called as methods', async (t) => {
  class Store {
    texts = new Map<string, string>()
    get (key: string) { return this.texts.get(key) }
    set (key: string, text: string) { this.texts.set(key, text) }
    delete (key: string) { this.texts.delete(key) }
    close () { this.texts.clear() }
  }
  const backend = fromStringStore(new Store())
  await backend.set('key', { value: Buffer.from('value'), expiresAt: Date.now() + 60_000 })
  t.same((await backend.get('key'))?.value, Buffer.from('value'))
  await backend.delete('key')
  t.equal(await backend.get('key'), undefined)
  await backend.close()
})

t.test('string store: the backend has no optional methods', async (t) => {
  t.same(powersOf(setUp().backend), [])
})

t.test('string store: any bytes under any key come back unchanged', async (t) => {
  await fc.assert(fc.asyncProperty(fc.uint8Array(), fc.string({ unit: 'binary' }), async (value, key) => {
    const { clock, backend } = setUp()
    await backend.set(key, { value, expiresAt: clock.now() + 1_000 })
    const hit = await backend.get(key)
    return hit !== undefined && Buffer.compare(hit.value, value) === 0
  }))
  t.pass('for all that were tried')
})
