// cache-bench: what it refuses before it measures anything, and what it says about a backend that fails.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { benchFolder, startBench, TINY } from '../support/cache-bench.js'
import { someOf } from '../support/size.js'

const WRONG: ReadonlyArray<readonly [args: readonly string[], says: RegExp]> = [
  [[], /^cache-bench: no backend is given. Add --backend sqlite, or --module .*--help/],
  [['--backend', 'sqlight'], /^cache-bench: there is no backend 'sqlight'; known are memory, .*sqlite.*--module/],
  [['--backend', 'sqlite', '--options', '{path}'], /^cache-bench: --options is not JSON: .*at character 2, got '{path}'/],
  [['--backend', 'sqlite', '--options', '[1]'], /^cache-bench: --options must be a JSON object such as .*got '\[1\]'/],
  [['--backend', 'sqlite', '--options', '{"pth":"x"}'],
    /^cache-bench: sqlite can't be opened: cache: 'sqlite.pth' must be absent.*known are path/],
  [['--backend', 'redis'], /^cache-bench: redis can't be opened: .*given exactly one of client, namespace, url, connection/],
  [['--backend', 'http'], /^cache-bench: http can't be opened: .*http.baseUrl/],
  [['--options', '{}', '--backend', 'memory'], /^cache-bench: --options belongs to the --backend or --module before it, and there is none/],
  [['--module', './not-there.js'], /^cache-bench: there is no module '.\/not-there.js': no file \/.*not-there.js/],
  [['--module', './empty.mjs'], /^cache-bench: empty can't be opened: .*defineBackend/],
  [['--module', './broken.mjs'], /^cache-bench: broken can't be opened: /],
  [['--module', './three.mjs'], /^cache-bench: three can't be opened: .*the methods get, set, delete, close, got one without delete/],
  [['--module', './three.mjs', '--name', 'memory'], /^cache-bench: 'memory' is the name of a built-in backend; .*--name/],
  [['--backend', 'memory', '--seconds', 'soon'], /^cache-bench: --seconds must be a number from 0\.5 to 3600, got 'soon'/],
  [['--backend', 'memory', '--sizes', '1,,2'], /^cache-bench: --sizes must be a number from 1 to/],
  [['--backend', 'memory', '--entires', '5'], /^cache-bench: Unknown option '--entires'.*--help/],
  [['memory'], /^cache-bench: Unexpected argument 'memory'.*--help/],
  [['--backend', 'memory', '--against', 'not-there.json'], /^cache-bench: --against not-there.json can't be read: ENOENT/],
  [['--backend', 'memory', '--against', 'empty.mjs'], /^cache-bench: --against empty.mjs can't be read: .*JSON/],
  [['--backend', 'memory', '--against', 'other.json'], /^cache-bench: --against other.json is not a report of this cache-bench/],
  [['--backend', 'memory', '--against', 'wide.json'],
    /^cache-bench: --against wide.json was measured with entries 20000, this run has 64: they can't be compared/],
  [['--backend', 'memory', '--json', 'no/where.json'], /^cache-bench: no\/where.json can't be written: .* is not a writable folder/]
]

t.test('cache-bench: a wrong command line is refused with one line and exit code 2, and nothing is left behind', async (t) => {
  const folder = benchFolder(t)
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text)
  write('empty.mjs', '')
  write('broken.mjs', 'export default {')
  write('three.mjs', 'export default { name: "three", create: () => ({ get () {}, set () {}, close () {} }) }')
  write('other.json', '{}')
  write('wide.json', JSON.stringify({ format: 1, backends: [], conditions: { entries: 20_000 } }))
  for (const [args, says] of someOf(WRONG)) {
    const run = startBench(t, [...args, '--entries', '64'], folder)
    const { exitCode, stdout, stderr } = await run.ended
    const lines = stderr.split('\n').filter((line) => line.startsWith('cache-bench:'))
    t.equal(lines.length, 1, stderr)
    t.match(lines[0], says)
    t.notMatch(stderr, /^\s+at /m, 'no stack')
    t.equal(exitCode, 2, args.join(' '))
    t.equal(stdout, '')
    t.same(run.leftovers(), [])
  }
})

t.test('cache-bench: a backend that throws, loses entries or exits is reported with exit code 1', async (t) => {
  const folder = benchFolder(t)
  const module = (set: string, get = 'throw new Error("no connection\\nto the store")'): string =>
    `export default { name: 'x', create: () => ({ get () { ${get} }, set () { ${set} }, delete () {}, close () {} }) }`
  writeFileSync(join(folder, 'fails.mjs'), module('', ''))
  writeFileSync(join(folder, 'throws.mjs'), module('throw new Error("no connection\\nto the store")'))
  writeFileSync(join(folder, 'exits.mjs'), module('process.exit(3)'))
  const reported = async (name: string): Promise<string> => {
    const run = startBench(t, [...TINY, '--module', `./${name}.mjs`], folder)
    const { exitCode, stderr } = await run.ended
    t.equal(exitCode, 1)
    t.same(run.leftovers(), [])
    return stderr.split('\n').filter((line) => line.startsWith('cache-bench:')).join('\n')
  }
  t.equal(await reported('fails'), 'cache-bench: fails: an entry that was just written is missing')
  t.equal(await reported('throws'), 'cache-bench: throws: fill failed: no connection to the store')
  t.equal(await reported('exits'), 'cache-bench: exits: its process ended (exit code 3)')
})
