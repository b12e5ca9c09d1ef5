// The seven tests that every backend author is told to write: absence, storage, expiry, deletion, concurrency, closing.
import { always, type ConformanceCase } from './case.js'
import { bytesOf, entryOf } from './entries.js'
import { assertHolds, assertMiss } from './expect.js'
import { answerOf } from './outcome.js'

const MANY = 10

export const guideCases: readonly ConformanceCase[] = [
  always('a key that was never set answers undefined', async (backend) => {
    assertMiss(await backend.get('nonexistent'), 'get()')
  }),

  always('get answers what was set', async (backend, subject) => {
    await backend.set('test_key', entryOf('test_value', subject))
    assertHolds(await backend.get('test_key'), bytesOf('test_value'), 'get()')
  }),

  always('an entry of a second is there at once and gone after two', async (backend, subject) => {
    await backend.set('expire_key', entryOf('value', subject, 1_000))
    assertHolds(await backend.get('expire_key'), bytesOf('value'), 'get() at once')
    await subject.pass(2_000)
    assertMiss(await backend.get('expire_key'), 'get() after expiresAt')
  }),

  always('a key that was deleted answers undefined', async (backend, subject) => {
    await backend.set('delete_key', entryOf('value', subject))
    await backend.delete('delete_key')
    assertMiss(await backend.get('delete_key'), 'get()')
  }),

  always('deleting a key that is not there is no error', async (backend) => {
    await answerOf('delete() of a key that is not there', () => backend.delete('nonexistent'))
    assertMiss(await backend.get('nonexistent'), 'get()')
  }),

  always('many sets at once, and many gets at once, do not disturb each other', async (backend, subject) => {
    const numbers = Array.from({ length: MANY }, (_, number) => number)
    await Promise.all(numbers.map(async (number) => backend.set(`key_${number}`, entryOf(`value_${number}`, subject))))
    const answers = await Promise.all(numbers.map(async (number) => backend.get(`key_${number}`)))
    for (const [number, answer] of answers.entries()) assertHolds(answer, bytesOf(`value_${number}`), `get('key_${number}')`)
  }),

  always('a backend that was used closes', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await answerOf('close()', () => backend.close())
  })
]
