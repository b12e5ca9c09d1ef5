// How scripts/ counts tests: what counts as a test, and that no failure is lost.
import t from 'tap'

interface Counted {
  passed: number,
  failed: number,
  skipped: number,
  failures: string[],
  skips: string[],
  write (text: string): void,
  end (): void
}
interface FileEnd { name: string, ok: boolean, tests: number, lines: string[] }

const scripts = new URL('../../../scripts/results.js', import.meta.url).href
const { Results } = await import(scripts) as { Results: new (onFile: (file: FileEnd) => void) => Counted }

function read (tap: string) {
  const files: FileEnd[] = []
  const results = new Results((file) => { files.push(file) })
  results.write(tap)
  results.end()
  const { passed, failed, skipped, failures, skips } = results
  return { counts: [passed, failed, skipped], failures, skips, files }
}

t.test('scripts: the innermost named blocks are counted, not assertions or enclosing blocks', async (t) => {
  const { counts, files } = read(`TAP version 14
1..2
# Subtest: a.test.ts
    # Subtest: group
        # Subtest: one
            ok 1 - assertion
            ok 2 - assertion
            1..2
        ok 1 - one # time=5ms
        # Subtest: two
            1..0
        ok 2 - two
        1..2
    ok 1 - group
    ok 2 - an assertion of the file
    1..2
ok 1 - a.test.ts # time=54.2ms
# Subtest: b.test.ts
    ok 1 - assertion
    1..1
ok 2 - b.test.ts`)
  t.same(counts, [3, 0, 0])
  t.match(files, [{ name: 'a.test.ts', ok: true, tests: 2, lines: [] }, { name: 'b.test.ts', ok: true, tests: 1, lines: [] }])
})

t.test('scripts: a failed test is counted once, with its full name and its lines', async (t) => {
  const { counts, failures, files } = read(`# Subtest: a.test.ts
    # Subtest: group
        # Subtest: good
            ok 1 - assertion
        ok 1 - good
        # Subtest: bad \\# 1
            not ok 1 - assertion
              ---
              source: |
                # Subtest: nothing
                ok 1 - nothing
              ...
        not ok 2 - bad \\# 1 # time=5ms
    not ok 1 - group
not ok 1 - a.test.ts`)
  t.same(counts, [1, 1, 0])
  t.same(failures, ['a.test.ts > group > bad # 1'])
  t.equal(files[0]?.ok, false)
  t.match(files[0]?.lines.join('\n'), /not ok 1 - assertion\n +---\n +source: \|/)
  t.notMatch(files[0]?.lines.join('\n'), /- good/)
})

t.test('scripts: a file that crashes, a plan that does not fit and a failed assertion outside tests count as failed tests', async (t) => {
  t.same(read('# Subtest: a.test.ts\n    1..0 # no tests found\nnot ok 1 - a.test.ts').counts, [0, 1, 0])
  t.same(read('# Subtest: a.test.ts\n    # Subtest: one\n        1..0\n    ok 1 - one\nnot ok 1 - a.test.ts').counts, [1, 1, 0])
  t.same(
    read('# Subtest: a.test.ts\n    # Subtest: one\n        1..0\n    ok 1 - one\n    not ok 2 - assertion\nnot ok 1 - a.test.ts').counts,
    [1, 1, 0])
})

t.test('scripts: skipped and todo tests are counted separately, and named with the reason', async (t) => {
  const { counts, skips } = read(
    '# Subtest: a.test.ts\n    ok 1 - one # SKIP for a reason\n    not ok 2 - two # TODO\n    # Subtest: three\n        ok 1 - assertion\n    ok 3 - three\nok 1 - a.test.ts')
  t.same(counts, [1, 0, 2])
  t.same(skips, ['a.test.ts > one # SKIP for a reason', 'a.test.ts > two # TODO'])
})

t.test('scripts: a test that the time limit ended is named with that reason', async (t) => {
  const { counts, failures } = read(
    '# Subtest: a.test.ts\n    # Subtest: one\n        # Subtest: two\n            not ok 1 - timeout!\n        not ok 1 - two\n    not ok 1 - one\nnot ok 1 - timeout!')
  t.same(counts, [0, 1, 0])
  t.match(failures, [/^a\.test\.ts > one > two \(.*time limit/])
  t.match(read('not ok 1 - timeout!\n  ---\n  expired: a.test.ts\n  ...').counts, [0, 1, 0])
})

t.test('scripts: a run without tests counts none', async (t) => {
  t.same(read('TAP version 14\n1..0').counts, [0, 0, 0])
})
