// Tests which defects the kit finds in a newcomer's first version: the guide's FileBackend, ported without changes.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { conformance, faults, museum, type ConformanceSubject } from './kit/index.js'
import { testClock } from './support/clock.js'
import { NaiveFileBackend } from './support/naive-file.js'

/** The cases that always fail. Cases that depend on timing (torn writes, for example) are not listed, because they may pass or fail. */
const FOUND = [
  'each of the 256 bytes survives as a one-byte value',
  'bytes that are already compressed survive',
  'all 256 bytes survive',
  'a NUL, a newline and 0xFF survive',
  'bytes that are not valid UTF-8 survive',
  'lone surrogates are different keys',
  'an entry is not returned at or after its expiresAt',
  'a set of an entry that expires now stores nothing',
  'after close, a get fails or returns undefined, and never hangs',
  'clear: removes only the keys that begin with the prefix',
  'clear: takes the prefix as text, not as a pattern',
  'clear: accepts a prefix in any script, even at the end of its range',
  'an expired entry does not hide another one whose key begins alike',
  'each entry has its own life'
]

t.test('the kit finds the defects of a backend that was ported from the guide without changes', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'naive-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const clock = testClock()
  let [opened, dir] = [0, '']
  const again = async () => new NaiveFileBackend(dir, clock.now)
  const subject: ConformanceSubject = {
    ...clock,
    recoveryMs: 100,
    open () {
      dir = join(folder, String(opened++))
      return again()
    },
    reopen: again,
    share: again,
    footprint: () => readdirSync(dir).length,
    garble () {
      for (const name of readdirSync(dir)) writeFileSync(join(dir, name), 'null')
      return () => {}
    }
  }
  const found: string[] = []
  for (const { name, run } of [...conformance, ...faults, ...museum]) {
    await run(subject).catch((error: Error) => {
      found.push(name)
      t.comment(`${name}: ${error.message}`)
    })
  }
  t.same(FOUND.filter((name) => !found.includes(name)), [])
})
