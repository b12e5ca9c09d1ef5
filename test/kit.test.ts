// Tests the lists of the kit. Each case must pass on a correct backend, and be skipped with a reason if the backend or the subject lacks
// something. Broken backends are tested in test/kit-*.test.ts.
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { conformance, coordination, faults, museum, skipReason, type ConformanceCase, type ConformanceSubject } from './kit/index.js'
import { broken, correctMap, correctProgram, correctStore } from './support/breakages/index.js'
import { LEVERS } from './kit/subject.js'
import { mapSubject } from './support/breakages/broken.js'
import { messages } from './support/breakages/messages.js'
import { conforms } from './support/conformance.js'
import { codeIn, tableBelow } from './support/docs.js'
import { storeBackend, storeSubject } from './support/faulty-store.js'
import { someOf } from './support/size.js'
import { source } from './support/sources.js'
import type { CacheBackend } from '../registry/backend.js'
import type { MapBackend } from './support/map-backend.js'

const LATE_MS = 1

const all = [...conformance, ...faults, ...museum, ...coordination]

const subjectOf = (open: (correct: MapBackend) => CacheBackend): ConformanceSubject => mapSubject(({ correct }) => open(correct))

t.test('a correct backend passes every case of all lists that needs no lever', async (t) => {
  await conforms(t, correctMap(), all)
})

t.test('a correct backend whose methods return promises passes them too', async (t) => {
  const later = <A extends unknown[], R> (method: (...args: A) => R) => async (...args: A) => {
    await Promise.resolve()
    return method(...args)
  }
  const subject = subjectOf((correct) =>
    Object.fromEntries(Object.entries(correct).map(([name, method]) => [name, later(method)])) as unknown as CacheBackend)
  await conforms(t, subject, [...conformance, ...coordination])
})

t.test('a correct backend with levers passes every case of all lists, except those that need a program', async (t) => {
  await conforms(t, correctStore(), all)
})

t.test('a correct backend whose methods settle late passes every case of all lists, except those that need a program', async (t) => {
  const late = <A extends unknown[], R> (method: (...args: A) => R) => async (...args: A) => {
    const result = await method(...args)
    await wait(LATE_MS)
    return result
  }
  const subject = storeSubject((given) => Object.fromEntries(Object.entries(storeBackend(given)).map(([name, method]) => [
    name, late(method as never)
  ])) as unknown as CacheBackend)
  await conforms(t, subject, someOf(all))
})

t.test('patience multiplies the limits of a case', async (t) => {
  const twice = conformance.find(({ name }) => name === 'close may be called twice')!
  const slow = (patience?: number): ConformanceSubject => ({
    ...subjectOf((correct) => ({ ...correct, close: () => wait(400) })), ...(patience !== undefined && { patience })
  })
  await t.rejects(twice.run(slow(0.05)), { message: /close\(\) must return or fail in time, and did neither within 100 ms/ })
  t.equal(await twice.run(slow()), 'passed')
  t.equal(await twice.run(slow(2)), 'passed')
  for (const patience of [0, -1, NaN, Infinity]) {
    await t.rejects(twice.run(slow(patience)), { message: /patience must be a number greater than 0/ })
  }
})

// The cases that need a program run in test/backends/faults.test.ts.
t.test('each case runs on a correct backend', async (t) => {
  const subjects = [correctStore(), correctProgram(t)]
  const backends = await Promise.all(subjects.map((subject) => subject.open()))
  const runs = (one: ConformanceCase) => subjects.some((subject, at) => skipReason(one, subject, backends[at]!) === undefined)
  t.same(all.filter((one) => !runs(one)).map(({ name }) => name), [])
})

t.test('each case has a broken backend and a message, and none is listed for a case that does not exist', async (t) => {
  const names = all.map(({ name }) => name).sort()
  t.same(Object.keys(broken).sort(), names)
  t.same(Object.keys(messages).sort(), names)
})

t.test('the names of the cases are unique', async (t) => {
  t.equal(new Set(all.map(({ name }) => name)).size, all.length)
})

t.test('only the cases of the museum have a reference', async (t) => {
  for (const { name, reference } of museum) t.match(reference, /^[\w.-]+\/[\w.-]+#\d+$/, name)
  t.same([...conformance, ...faults, ...coordination].filter(({ reference }) => reference !== undefined), [])
})

t.test('a case whose lever is missing is skipped, opens nothing, and names the lever', async (t) => {
  let opened = 0
  const { now, pass } = correctMap()
  const subject: ConformanceSubject = { now, pass, open: async () => { opened++; return correctMap().open() } }
  const backend = await subject.open()
  for (const one of all.filter(({ levers }) => levers !== undefined)) {
    t.equal(await one.run(subject), 'skipped', one.name)
    t.equal(skipReason(one, subject, backend), `the subject has no ${one.levers!.join(', no ')}`, one.name)
  }
  t.equal(opened, 1)
})

t.test('a case for a power that the backend lacks is skipped, and names the power', async (t) => {
  const required = subjectOf(({ get, set, delete: remove, close }) => ({ get, set, delete: remove, close }))
  const backend = await required.open()
  for (const one of [...conformance, ...coordination].filter(({ levers }) => levers === undefined)) {
    t.equal(await one.run(required), one.power === undefined ? 'passed' : 'skipped', one.name)
    if (one.power === undefined) continue
    t.ok(one.name.startsWith(`${one.power}: `), one.name)
    t.equal(skipReason(one, required, backend), `the backend has no method ${one.power}`)
  }
})

t.test('a backend that hangs after close fails its case and does not hang it', async (t) => {
  const hangs = conformance.find(({ name }) => name === 'after close, a get fails or returns undefined, and never hangs')
  const hanging = subjectOf((correct) => {
    let closed = false
    return {
      ...correct,
      close () { closed = true },
      get: (key: string) => closed ? new Promise<undefined>(() => {}) : correct.get(key)
    }
  })
  await t.rejects(async () => hangs?.run(hanging), { message: /must return or fail in time/ })
})

t.test('every case closes the backends that it opened, even if it fails', async (t) => {
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

t.test('every case ends the faults that it began and releases caller-owned clients, even if it fails', async (t) => {
  let [faulty, unreleased] = [0, 0]
  const correct = correctStore()
  const breaking = async () => { faulty++; return () => { faulty-- } }
  const subject: ConformanceSubject = {
    ...correct,
    recoveryMs: 1,
    open: async () => ({ ...await correct.open(), get: () => { throw new Error('it is broken') } }),
    hang: breaking,
    fail: breaking,
    garble: breaking,
    async lend () {
      unreleased++
      const given = await correct.lend!()
      return { ...given, backend: await subject.open(), release () { unreleased--; return given.release() } }
    }
  }
  const breaks = all.filter(({ levers }) => levers?.some((lever) => ['hang', 'fail', 'garble', 'lend'].includes(lever)))
  for (const { run } of breaks) await run(subject).catch(() => {})
  t.equal(faulty, 0)
  t.equal(unreleased, 0)
})

t.test('docs: the kit\'s page names every lever and every case of the museum', async (t) => {
  const page = source('docs/test-kit.md').text
  t.same(tableBelow(page, '## The subject').map((row) => codeIn(row.lever!).replace(/\(.*/, '')), LEVERS)
  const shown = tableBelow(page, '## The museum').map((row) => [/^\[(.*)\]/.exec(row.bug!)?.[1], row.case])
  t.same(shown, museum.map(({ name, reference }) => [reference, name]))
})
