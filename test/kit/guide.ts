// The seven tests that the guide tells every backend author to write: absence, storage, expiry, deletion, concurrency, closing.
import { always, type ConformanceCase } from './case.js'
import { bytesOf, entryOf } from './entries.js'
import { assertHolds, assertMiss } from './expect.js'
import { resultOf } from './outcome.js'

const MANY = 10

export const guideCases: readonly ConformanceCase[] = [
  always('get of a key that was never set returns undefined', async (backend) => {
    assertMiss(await backend.get('nonexistent'), 'get()')
  }),

  always('get returns what was set', async (backend, subject) => {
    await backend.set('test_key', entryOf('test_value', subject))
    assertHolds(await backend.get('test_key'), bytesOf('test_value'), 'get()')
  }),

  always('an entry that lives one second is returned at once, and not after two', async (backend, subject) => {
    await backend.set('expire_key', entryOf('value', subject, 1_000))
    assertHolds(await backend.get('expire_key'), bytesOf('value'), 'get() at once')
    await subject.pass(2_000)
    assertMiss(await backend.get('expire_key'), 'get() after expiresAt')
  }),

  always('get of a deleted key returns undefined', async (backend, subject) => {
    await backend.set('delete_key', entryOf('value', subject))
    await backend.delete('delete_key')
    assertMiss(await backend.get('delete_key'), 'get()')
  }),

  always('deleting a key that does not exist is not an error', async (backend) => {
    await resultOf('delete() of a key that does not exist', () => backend.delete('nonexistent'))
    assertMiss(await backend.get('nonexistent'), 'get()')
  }),

  always('concurrent sets, and concurrent gets, do not affect each other', async (backend, subject) => {
    const numbers = Array.from({ length: MANY }, (_, number) => number)
    await Promise.all(numbers.map(async (number) => backend.set(`key_${number}`, entryOf(`value_${number}`, subject))))
    const hits = await Promise.all(numbers.map(async (number) => backend.get(`key_${number}`)))
    for (const [number, hit] of hits.entries()) assertHolds(hit, bytesOf(`value_${number}`), `get('key_${number}')`)
  }),

  always('close succeeds after the backend was used', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await resultOf('close()', () => backend.close())
  })
]
