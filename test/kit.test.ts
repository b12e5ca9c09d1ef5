// The conformance list itself: it passes a correct backend, and each case fails a backend that is broken in one way.
import t from 'tap'
import { conformance, type ConformanceSubject } from './kit/index.js'
import { breakages, type Breakage } from './support/breakages.js'
import { testClock } from './support/clock.js'
import { conforms } from './support/conformance.js'
import { mapBackend, type MapBackend } from './support/map-backend.js'
import type { CacheBackend, StoredEntry } from '../registry/backend.js'

function subjectOf (open: (correct: MapBackend, now: () => number, entries: Map<string, StoredEntry>) => CacheBackend): ConformanceSubject {
  const clock = testClock()
  return {
    ...clock,
    open: async () => {
      const entries = new Map<string, StoredEntry>()
      return open(mapBackend(clock.now, entries), clock.now, entries)
    }
  }
}

const broken = (breakage: Breakage) => subjectOf((correct, now, entries) => ({ ...correct, ...breakage({ correct, now, entries }) }))

t.test('A24: a correct backend passes every case', async (t) => {
  await conforms(t, subjectOf((correct) => correct))
})

t.test('A24: a correct backend whose every answer comes later passes every case', async (t) => {
  const later = <A extends unknown[], R> (method: (...args: A) => R) => async (...args: A) => {
    await Promise.resolve()
    return method(...args)
  }
  await conforms(t, subjectOf((correct) => Object.fromEntries(Object.entries(correct).map(([name, method]) => [name, later(method)])) as unknown as CacheBackend))
})

t.test('A24: each case fails the backend that is broken in its way', async (t) => {
  for (const { name, run } of conformance) {
    await t.test(name, async (t) => {
      const breakage = breakages[name]
      if (breakage === undefined) return t.fail('no broken backend is listed for this case')
      await t.rejects(run(broken(breakage)), { code: 'ERR_ASSERTION' })
    })
  }
})

t.test('A24: a broken backend is listed for no case that is not there', async (t) => {
  const names = new Set(conformance.map(({ name }) => name))
  t.same(Object.keys(breakages).filter((name) => !names.has(name)), [])
})

t.test('A24: the names of the cases are unique', async (t) => {
  t.equal(new Set(conformance.map(({ name }) => name)).size, conformance.length)
})

t.test('A24: a case for a power that the backend lacks answers that it was skipped, and names the power', async (t) => {
  const required = subjectOf(({ get, set, delete: forget, close }) => ({ get, set, delete: forget, close }))
  for (const { name, power, run } of conformance) {
    t.equal(await run(required), power === undefined ? 'passed' : 'skipped', name)
    if (power !== undefined) t.ok(name.startsWith(`${power}: `), name)
  }
})

t.test('A24: a backend that never answers after close fails its case and does not hang it', async (t) => {
  const hangs = conformance.find(({ name }) => name === 'after close a get is an error or a miss, and never hangs')
  const hanging = subjectOf((correct) => {
    let closed = false
    return {
      ...correct,
      close () { closed = true },
      get: (key: string) => closed ? new Promise<undefined>(() => {}) : correct.get(key)
    }
  })
  await t.rejects(async () => hangs?.run(hanging), { message: /expected an answer or an error, got none/ })
})

t.test('A24: every case closes what it opened, also when it fails', async (t) => {
  let open = 0
  const counted = subjectOf((correct) => {
    let closed = false
    open++
    return {
      ...correct,
      get: () => undefined,
      close () {
        if (!closed) open--
        closed = true
      }
    }
  })
  for (const { run } of conformance) await run(counted).catch(() => {})
  t.equal(open, 0)
})
