// Life: close ends everything, may be called again, and nothing hangs afterwards.
import assert from 'node:assert/strict'
import { always, answerOf, entryOf, outcomeOf, type ConformanceCase } from './case.js'

export const lifeCases: readonly ConformanceCase[] = [
  always('close may be called twice', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await answerOf('the first close', () => backend.close())
    await answerOf('the second close', () => backend.close())
  }),

  always('close may be called twice at once', async (backend) => {
    await Promise.all([answerOf('the first close', () => backend.close()), answerOf('the second close', () => backend.close())])
  }),

  always('a backend that was never used closes', async (backend) => {
    await answerOf('close', () => backend.close())
  }),

  always('close while calls are under way settles, and so do they', async (backend, subject) => {
    const calls = Array.from({ length: 5 }, (_, number) => outcomeOf('a set that was under way', () => backend.set(`key${number}`, entryOf('value', subject))))
    calls.push(outcomeOf('a get that was under way', async () => { await backend.get('key0') }))
    await answerOf('close', () => backend.close())
    await Promise.all(calls)
  }),

  always('after close a get is an error or a miss, and never hangs', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await backend.close()
    const outcome = await outcomeOf('get after close', () => backend.get('key'))
    if ('answer' in outcome) assert.equal(outcome.answer, undefined, 'expected a miss after close, got an entry')
  }),

  always('after close a set or a delete is an error or nothing, and never hangs', async (backend, subject) => {
    await backend.close()
    await outcomeOf('set after close', () => backend.set('key', entryOf('value', subject)))
    await outcomeOf('delete after close', () => backend.delete('key'))
    const outcome = await outcomeOf('get after close', () => backend.get('key'))
    if ('answer' in outcome) assert.equal(outcome.answer, undefined, 'expected a miss after close, got an entry')
  })
]
