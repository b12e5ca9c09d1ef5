// A store of bytes worn as a backend: order, time-outs, closing, and walks over stores that are awkward to walk over.
import t, { type Test } from 'tap'
import { ByteStoreBackend, type ByteStore } from '../../registry/byte-store.js'
import type { Listed } from '../../registry/byte-listing.js'
import type { BackendContext } from '../../registry/registry.js'
import { frame, nameOf, storedKey } from '../../registry/frame.js'
import { testClock } from '../support/clock.js'
import { conforms } from '../support/conformance.js'
import { entry, failureOf, textAt } from '../support/redis.js'

const name = (key: string): string => nameOf(storedKey(key))

/** A store in memory that does what it is told before each call, and tells what it was asked. */
class TestStore implements ByteStore {
  readonly held = new Map<string, Uint8Array>()
  readonly asked: string[] = []
  forgets = false
  closes = 0
  act: (operation: string, name: string) => unknown = () => undefined

  async get (name: string): Promise<Uint8Array | undefined> {
    await this.#ask('get', name)
    return this.held.get(name)
  }

  async set (name: string, bytes: Uint8Array): Promise<void> {
    await this.#ask('set', name)
    this.held.set(name, bytes)
  }

  async delete (name: string): Promise<void> {
    await this.#ask('delete', name)
    this.held.delete(name)
  }

  async * list (): AsyncGenerator<Listed> {
    for (const name of this.held.keys()) {
      await this.act('list', name)
      yield { name }
    }
  }

  close (): void { this.closes++ }

  async #ask (operation: string, name: string): Promise<void> {
    this.asked.push(operation)
    await this.act(operation, name)
  }
}

function wear (t: Test, store: ByteStore, { timeoutMs = 1_000, clock = testClock() } = {}): { backend: ByteStoreBackend, sweep: () => unknown, clock: ReturnType<typeof testClock> } {
  let sweep: () => unknown = () => undefined
  const background = { every: (_name: string, _intervalMs: number, run: () => unknown) => { sweep = run; return { cancel: async () => {} } } }
  const backend = new ByteStoreBackend(store, { name: 'test', timeoutMs, cleanupIntervalMs: 1_000 }, { now: clock.now, background } as unknown as BackendContext)
  t.teardown(() => backend.close())
  return { backend, sweep: () => sweep(), clock }
}

t.test('A24: a store that can be listed, and reads several at once, conforms', async (t) => {
  const clock = testClock()
  class Many extends TestStore {
    async getMany (names: readonly string[]): Promise<Array<Uint8Array | undefined>> { return names.map((name) => this.held.get(name)) }
  }
  await conforms(t, { ...clock, open: async () => wear(t, new Many(), { clock }).backend })
})

t.test('byte store: a change of a key waits for the one before, also when that fails or hangs', async (t) => {
  const store = new TestStore()
  const { backend } = wear(t, store, { timeoutMs: 50 })
  const order: string[] = []
  let goOn = (): void => {}
  store.act = () => new Promise<void>((resolve) => { goOn = resolve })
  const first = backend.set('key', entry('first')).then(() => order.push('first'))
  store.act = () => { throw new Error('refused') }
  const second = backend.set('key', entry('second')).catch((error: Error) => order.push(error.message))
  const third = backend.delete('key').catch((error: Error) => order.push(`${error.message} too`))
  t.same(store.asked, ['set'])
  goOn()
  await Promise.all([first, second, third])
  t.same(order, ['first', 'refused', 'refused too'])
  store.act = () => new Promise(() => {})
  const hanging = failureOf(() => backend.set('key', entry('never')))
  store.act = () => undefined
  await backend.set('key', entry('last'))
  t.match(await hanging, { code: 'CACHE_ERR_BACKEND_FAILED', message: /'test' failed in set: the store has not answered within 50 ms/ })
  t.equal(await textAt(backend, 'key'), 'last')
})

t.test('byte store: close ends what waits, what stands behind it is never asked, and the store is closed once', async (t) => {
  const store = new TestStore()
  const { backend } = wear(t, store)
  store.act = () => new Promise(() => {})
  const calls = [() => backend.get('key'), () => backend.set('key', entry('value')), () => backend.delete('key'), () => backend.set('key', entry('again'))].map(failureOf)
  await backend.close()
  await backend.close()
  for (const call of calls) t.match(await call, { code: 'CACHE_ERR_CLOSED' })
  t.same(store.asked, ['get', 'set'])
  t.equal(store.closes, 1)
  for (const call of [() => backend.clear!(), () => backend.keys!(), () => backend.size!()]) t.match(await failureOf(call), { code: 'CACHE_ERR_CLOSED' })
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
  for (const call of [() => backend.clear!(), () => backend.keys!(), () => backend.size!()]) t.match(await failureOf(call), { message: 'no listing today' })
  store.act = (operation) => operation === 'list' ? new Promise(() => {}) : undefined
  t.match(await failureOf(() => backend.clear!()), { message: /'test' failed in clear: the store has not answered within 50 ms/ })
  store.act = (operation) => { if (operation === 'delete') throw new Error('not this one') }
  t.match(await failureOf(() => backend.clear!()), { message: 'not this one' })
})

t.test('byte store: an entry that is over is removed when it is met, unless the store does that, and never one that was set since', async (t) => {
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

t.test('byte store: the sweep removes what is over, and what was damaged two times; it ends when the backend closes', async (t) => {
  const store = new TestStore()
  const { backend, sweep, clock } = wear(t, store)
  for (const key of ['a', 'b', 'c']) await backend.set(key, entry(key, key === 'b' ? 60_000 : 1_000))
  const half = frame(storedKey('half'), entry('half of it')).subarray(0, 40)
  store.held.set(name('half'), half)
  store.held.set(name('moved'), frame(storedKey('of another key'), entry('value')))
  await clock.pass(1_000)
  await sweep()
  t.same([...store.held.keys()].sort(), [name('b'), name('half'), name('moved')].sort())
  store.held.set(name('half'), frame(storedKey('half'), entry('half of it')))
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
  for (let number = 0; number < 10_050; number++) {
    const key = `key ${number}`
    store.held.set(name(key), frame(storedKey(key), { value, expiresAt: 2e12 }))
  }
  await backend.clear!('key')
  t.equal(store.held.size, 0)
})
