// A newcomer's first version, the guide's FileBackend ported as it stands, and the defects that the kit finds in it.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { conformance, faults, museum, type ConformanceSubject } from './kit/index.js'
import { testClock } from './support/clock.js'
import { NaiveFileBackend } from './support/naive-file.js'

/** What it fails for certain. What hangs on who is faster (torn writes) may be found or not. */
const FOUND = [
  'each of the 256 bytes survives as a value of its own',
  'bytes that are compressed already survive',
  'all 256 bytes survive',
  'a NUL, a newline and 0xFF survive',
  'bytes that are not UTF-8 survive',
  'lone surrogates are different keys',
  'an entry is gone from its expiresAt on',
  'an entry that expires at this very instant leaves nothing',
  'after close a get is an error or a miss, and never hangs',
  'clear: with a prefix, the keys that begin with it and no others',
  'clear: a prefix is text and not a pattern',
  'clear: a prefix of any script, also at the end of its range',
  'an entry that is over does not hide another one whose key begins alike',
  'each entry has a life of its own'
]

t.test('the kit finds the defects of a backend that was ported as the guide has it', async (t) => {
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
