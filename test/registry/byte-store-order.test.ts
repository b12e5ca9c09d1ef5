// The order of changes in a byte store: each begins once the one before it has settled, however long that takes; and closing.
import t from 'tap'
import { MOST_CHANGING_KEYS } from '../../registry/byte-store/bounded-calls.js'
import { name, TestStore, wear } from '../support/byte-store.js'
import { failureOf, textAt } from '../support/entries.js'
import { entry } from '../support/redis.js'

const LATE = { code: 'CACHE_ERR_BACKEND_FAILED', message: /the store did not respond within 50 ms/ }

/** Makes `store` hang in every call from now on, until the returned function is called. */
function hang (store: TestStore): () => void {
  const held: Array<() => void> = []
  store.act = () => new Promise<void>((resolve) => { held.push(resolve) })
  return () => {
    store.act = () => undefined
    for (const goOn of held) goOn()
  }
}

const settled = (): Promise<void> => new Promise(setImmediate)

t.test('byte store: a change of a key waits for the one before it, also if that fails', async (t) => {
  const store = new TestStore()
  const { backend } = wear(t, store)
  const order: string[] = []
  const goOn = hang(store)
  const first = backend.set('key', entry('first')).then(() => order.push('first'))
  const second = backend.delete('key').catch((error: Error) => order.push(error.message))
  const third = backend.set('key', entry('third')).catch((error: Error) => order.push(`${error.message} too`))
  t.same(store.asked, ['set'])
  goOn()
  store.act = () => { throw new Error('refused') }
  await Promise.all([first, second, third])
  t.same(order, ['first', 'refused', 'refused too'])
})

t.test('byte store: a hanging set is not stored after a later delete; both calls reject in time, and the delete is applied later',
  async (t) => {
    const store = new TestStore()
    const { backend } = wear(t, store, { timeoutMs: 50 })
    await backend.set('key', entry('before'))
    const goOn = hang(store)
    const set = failureOf(() => backend.set('key', entry('zombie')))
    const deleted = failureOf(() => backend.delete('key'))
    t.match(await set, { ...LATE, message: /'test' failed in set: the store did not respond within 50 ms/ })
    t.match(await deleted, { ...LATE, message: /'test' failed in delete: the store did not respond within 50 ms/ })
    t.match(await failureOf(() => backend.delete('key')), LATE)
    t.same(store.asked, ['set', 'set'], 'no change overtakes the hanging one')
    goOn()
    await settled()
    t.same(store.asked, ['set', 'set', 'delete'], 'two deletes become one')
    t.equal(store.held.size, 0)
    t.match(backend.stats(), { timeouts: 3 })
    await backend.set('key', entry('after'))
    t.equal(await textAt(backend, 'key'), 'after')
  })

t.test('byte store: a set that rejected before its turn is never sent, and the delete before it is applied',
  async (t) => {
    const store = new TestStore()
    const { backend } = wear(t, store, { timeoutMs: 50 })
    await backend.set('key', entry('before'))
    const goOn = hang(store)
    const calls = [
      () => backend.set('key', entry('a')), () => backend.delete('key'), () => backend.set('key', entry('b')),
      () => backend.set('key', entry('c'))
    ].map(failureOf)
    for (const call of calls) t.match(await call, LATE)
    goOn()
    await settled()
    t.same(store.asked, ['set', 'set', 'delete'])
    t.equal(store.held.size, 0)
  })

t.test('byte store: of many waiting changes of one key a delete and a set are sent, and all calls settle with them',
  async (t) => {
    const store = new TestStore()
    const { backend } = wear(t, store)
    const goOn = hang(store)
    const calls = Array.from({ length: 100 }, (_, at) => at % 10 === 5 ? backend.delete('key') : backend.set('key', entry(String(at))))
    goOn()
    await Promise.all(calls)
    t.same(store.asked, ['set', 'delete', 'set'])
    t.equal(await textAt(backend, 'key'), '99')
  })

t.test('byte store: the number of keys with waiting changes is bounded, and a change of another key rejects at once', async (t) => {
  const store = new TestStore()
  const { backend } = wear(t, store, { timeoutMs: 60_000 })
  const goOn = hang(store)
  const calls = Array.from({ length: MOST_CHANGING_KEYS }, (_, at) => backend.delete(`key ${at}`))
  t.match(await failureOf(() => backend.delete('one more')), {
    code: 'CACHE_ERR_BACKEND_FAILED', message: /failed in delete: too many changes are waiting for the store/
  })
  const again = backend.delete('key 0')
  goOn()
  await Promise.all([...calls, again])
  await backend.delete('one more')
})

t.test('byte store: a set whose entry has expired by its turn is sent as a delete', async (t) => {
  const store = new TestStore()
  const { backend, clock } = wear(t, store)
  const goOn = hang(store)
  const calls = [backend.set('key', entry('before')), backend.set('key', entry('value', 1_000))]
  await clock.pass(1_000)
  goOn()
  await Promise.all(calls)
  t.same(store.asked, ['set', 'delete'])
  await backend.set('key', entry('expired', 1_000))
  t.same(store.asked, ['set', 'delete', 'delete'])
})

t.test('byte store: close rejects pending calls, waiting changes are never sent, and the store is closed once', async (t) => {
  const store = new TestStore()
  const { backend } = wear(t, store)
  const goOn = hang(store)
  const calls = [
    () => backend.get('key'), () => backend.set('key', entry('value')), () => backend.delete('key'),
    () => backend.set('key', entry('again'))
  ].map(failureOf)
  await backend.close()
  await backend.close()
  for (const call of calls) t.match(await call, { code: 'CACHE_ERR_CLOSED' })
  goOn()
  await settled()
  t.same(store.asked, ['get', 'set'])
  t.equal(store.closes, 1)
  for (const call of [
    () => backend.clear!(), () => backend.keys!(), () => backend.size!(), () => backend.set('key', entry('value')),
    () => backend.delete('key')
  ]) {
    t.match(await failureOf(call), { code: 'CACHE_ERR_CLOSED' })
  }
})

t.test('byte store: clear waits for a hanging set no longer than its timeout, and the entry of that set is deleted later',
  async (t) => {
    const store = new TestStore()
    const { backend } = wear(t, store, { timeoutMs: 50 })
    const goOn = hang(store)
    const set = failureOf(() => backend.set('key', entry('zombie')))
    t.match(await failureOf(() => backend.clear!('k')), LATE)
    t.match(await set, LATE)
    await failureOf(() => backend.clear!('another'))
    goOn()
    await settled()
    t.equal(store.held.size, 0)
    t.notOk(store.held.has(name('key')))
  })
