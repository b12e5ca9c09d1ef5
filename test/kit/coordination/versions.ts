// Cases for version: a number under a name that all processes share, and that never becomes smaller.
import assert from 'node:assert/strict'
import { withLevers, withPower, type ConformanceCase, type WithPower } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds, assertMiss, assertSame } from '../expect.js'
import { outcomeOf, resultOf, show, soon } from '../outcome.js'
import type { ConformanceSubject } from '../subject.js'

type Versioned = WithPower<'version'>

const MANY = 20
const NAMES = ['tags', 'tag', 'tags ', 'TAGS', '{tags}', 'a\0b', 'a', '\ud800', '\udc00', '__proto__', '', 'n'.repeat(10_000)]

const NEVER_AGAIN =
  'Begin with the time in microseconds, and keep numbers apart from entries: clear must not remove them, and a number that was lost must not begin again'

/** Returns the number under a name. Fails unless it is an integer that a double can hold exactly. */
async function numberOf (backend: Versioned, name: string, raise = false, what = ''): Promise<number> {
  const call = `version(${show(name)}${raise ? ', true' : ''})${what && ` ${what}`}`
  const came: unknown = await resultOf(call, () => raise ? backend.version(name, true) : backend.version(name))
  assert.ok(Number.isSafeInteger(came), `${call} must return an integer; got ${show(came)}`)
  return came as number
}

/** Fails unless the number under a name is still `before`, or larger, and is larger than that after it is raised. */
async function assertGoesOn (backend: Versioned, name: string, before: number, when: string): Promise<void> {
  const after = await numberOf(backend, name, false, when)
  assert.ok(after >= before, `version() ${when} must return at least ${before}, as before; got ${after}`)
  const raised = await numberOf(backend, name, true, when)
  const least = Math.max(before, after)
  assert.ok(raised > least, `version() with raise, ${when}, must return more than ${least}; got ${raised}`)
}

/** Like `assertGoesOn`, once the store works again. Later numbers do not make up for a first one that is too small. */
async function assertGoesOnSoon (
  backend: Versioned, name: string, before: number, when: string, { recoveryMs }: ConformanceSubject
): Promise<void> {
  await soon(async () => {
    const outcome = await outcomeOf(`version() ${when}`, () => backend.version(name))
    if ('error' in outcome) throw outcome.error
    assert.ok(outcome.result >= before, `version() ${when} must return at least ${before}, as before; got ${outcome.result}`)
  }, recoveryMs)
  await assertGoesOn(backend, name, before, when)
}

async function raised (backend: Versioned, name: string, times: number): Promise<number> {
  for (let at = 1; at < times; at++) await numberOf(backend, name, true)
  return await numberOf(backend, name, true)
}

export const versionCases: readonly ConformanceCase[] = [
  withPower('version', 'with raise, returns a larger number each time', async (backend) => {
    let last = await numberOf(backend, 'tags')
    for (let at = 0; at < MANY; at++) {
      const next = await numberOf(backend, 'tags', true)
      assert.ok(next > last, `version() with raise must return more than ${last}; got ${next}`)
      last = next
    }
  }),

  withPower('version', 'without raise, returns the number that the last raise returned', async (backend) => {
    const first = await numberOf(backend, 'tags')
    assert.ok(await numberOf(backend, 'tags') === first, `version() must return ${first} until somebody raises it`)
    const last = await raised(backend, 'tags', 3)
    for (let at = 0; at < 3; at++) {
      const came = await numberOf(backend, 'tags')
      assert.ok(came === last, `version() must return ${last}, as the last one with raise did; got ${came}`)
    }
  }),

  withPower('version', 'concurrent calls with raise return different numbers', async (backend) => {
    const came = await Promise.all(Array.from({ length: MANY }, () => numberOf(backend, 'tags', true)))
    assert.ok(new Set(came).size === MANY, `${MANY} concurrent version()s with raise must return different numbers; got ${show(came)}`)
    const last = await numberOf(backend, 'tags')
    assert.ok(last === Math.max(...came), `version() must return the largest of the numbers, ${Math.max(...came)}; got ${last}`)
  }, { advice: 'Raise the number in one step of the store, not by a read and a write' }),

  withPower('version', 'each name has its own number', async (backend) => {
    const before = new Map<string, number>()
    for (const name of NAMES) before.set(name, await raised(backend, name, 2))
    for (const name of NAMES) {
      await numberOf(backend, name, true)
      for (const other of NAMES) {
        const came = await numberOf(backend, other)
        const expected = before.get(other)!
        assert.ok(other === name || came === expected,
          `version(${show(other)}) must return ${expected}, whatever becomes of ${show(name)}; got ${came}`)
      }
      before.set(name, await numberOf(backend, name))
    }
  }),

  withPower('version', 'does not begin again after clear or delete', async (backend) => {
    for (const clear of [() => backend.clear?.(), () => backend.clear?.('ta'), () => backend.delete('tags')]) {
      const before = await raised(backend, 'tags', 5)
      await clear()
      await assertGoesOn(backend, 'tags', before, 'after the cache was cleared')
    }
  }, { advice: NEVER_AGAIN }),

  withPower('version', 'is not an entry', async (backend, subject) => {
    await backend.set('tags', entryOf('value', subject))
    const before = await raised(backend, 'tags', 3)
    await numberOf(backend, 'other', true)
    assertHolds(await backend.get('tags'), bytesOf('value'), 'get() of a key with the name of a version')
    assertMiss(await backend.get('other'), 'get() of the name of a version')
    assertSame(await backend.keys?.() ?? ['tags'], ['tags'], 'keys() beside versions')
    const [size, { entries = 1 }] = [await backend.size?.() ?? 1, await backend.stats?.() ?? {}]
    assert.ok(size === 1 && entries === 1, `size() and stats().entries must not count versions; with one entry, got ${size} and ${entries}`)
    await backend.set('tags', entryOf('other', subject))
    await assertGoesOn(backend, 'tags', before, 'after an entry was set under its name')
  }),

  withLevers(['share'], 'version: two backends on one store have the same number', async (backend, subject) => {
    const other = await subject.share() as Versioned
    let last = await numberOf(backend, 'tags')
    for (let at = 0; at < MANY; at++) {
      const [raising, reading] = at % 2 === 0 ? [backend, other] : [other, backend]
      const next = await numberOf(raising, 'tags', true)
      assert.ok(next > last, `version() with raise must return more than ${last}, which another backend got; got ${next}`)
      last = next
      const came = await numberOf(reading, 'tags')
      assert.ok(came === last, `version() must return ${last} as soon as another backend has raised it to that; got ${came}`)
    }
  }, { power: 'version', advice: 'Ask the store each time: a number that is remembered is out of date' }),

  withLevers(['share'], 'version: concurrent calls with raise by two backends return different numbers', async (backend, subject) => {
    const other = await subject.share() as Versioned
    const came = await Promise.all(Array.from({ length: MANY }, (_, at) => numberOf(at % 2 === 0 ? backend : other, 'tags', true)))
    assert.ok(new Set(came).size === MANY, `${MANY} concurrent version()s with raise must return different numbers; got ${show(came)}`)
  }, { power: 'version' }),

  withLevers(['reopen'], 'version: does not begin again after the store was reopened', async (backend, subject) => {
    const before = await raised(backend, 'tags', 5)
    await backend.close()
    await assertGoesOn(await subject.reopen() as Versioned, 'tags', before, 'after the store was reopened')
  }, { power: 'version', advice: NEVER_AGAIN }),

  withLevers(['remove'], 'version: does not begin again after the contents of the store were removed', async (backend, subject) => {
    const before = await raised(backend, 'tags', 5)
    await subject.remove()
    await assertGoesOnSoon(backend, 'tags', before, 'after the contents of the store were removed', subject)
  }, { power: 'version', advice: NEVER_AGAIN }),

  withLevers(['kill'], 'version: does not begin again after the store was killed', async (backend, subject) => {
    const before = await raised(backend, 'tags', 5)
    await subject.kill()
    await assertGoesOnSoon(backend, 'tags', before, 'after the store was killed', subject)
  }, { power: 'version', advice: NEVER_AGAIN })
]
