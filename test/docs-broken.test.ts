// The runner of the docs' examples: a problem of a page is reported with the page and the line.
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isShown } from './support/page.js'
import { runPage } from './support/page-run.js'
import { root } from './support/sources.js'

const home = t.testdir()
symlinkSync(join(root, 'node_modules'), join(home, 'node_modules'), 'junction')

const known = { scripts: ['test'], programs: ['tsc'], packages: ['fastify'] }
const FENCE = '```'

/** Runs a page in which `block` is the second block. Without comments above it, its fence is in line 9. */
async function outcomeOf (block: string) {
  const text = `# A page\n\nA block that is right:\n\n${FENCE}sh\necho right > right.txt\n${FENCE}\n\n${block.replaceAll('~~~', FENCE)}\n`
  return await runPage({ path: 'broken.md', text }, home, known)
}

const BROKEN: ReadonlyArray<readonly [what: string, block: string, problem: RegExp]> = [
  ['a command that fails', '~~~sh\nfalse\n~~~', /^broken\.md:9: exit code 1, not 0/],
  ['a command that succeeds although it should fail', '<!-- exit: 1 -->\n~~~sh\ntrue\n~~~', /^broken\.md:10: exit code 0, not 1/],
  ['a command with different output', '~~~sh\necho one\n~~~\n~~~text\ntwo\n~~~', /^broken\.md:12: the output differs:\none/],
  ['a program that throws, with its line', '<!-- run: a.mjs -->\n~~~js\nconst a = 1\n\nthrow new Error(String(a))\n~~~',
    /^broken\.md:13: exit code 1/],
  ['a program that does not compile, with its line', '<!-- run: a.ts -->\n~~~ts\nconst a = 1\nexport const b: string = a\n~~~',
    /^broken\.md:12: .*TS2322/],
  ['a program that ends before it is ready', '<!-- until: ready -->\n~~~sh\necho not yet\n~~~',
    /^broken\.md:10: it ended before it printed ready/],
  ['a test that fails, with its line', "<!-- run: a.test.mjs -->\n~~~js\nimport assert from 'node:assert'\nassert.equal(1, 2)\n~~~",
    /^broken\.md:12: exit code 1/],
  ['invalid JSON', '~~~json\n{ a: 1 }\n~~~', /^broken\.md:9: /],
  ['a program without a comment', '~~~ts\n~~~', /^broken\.md:9: a block of 'ts' must be run/],
  ['a block in a language that cannot be run', '~~~python\nprint(1)\n~~~', /^broken\.md:9: a block of 'python' must be run/],
  ['an output that no block printed', '<!-- not run: it waits -->\n~~~sh\ncat\n~~~\n~~~text\n1\n~~~', /^broken\.md:13: a block of 'text' must be run/],
  ['a block that is not run, without a reason', '<!-- not run -->\n~~~sh\nfalse\n~~~', /^broken\.md:10: .* no reason is given/],
  ['an unknown comment', '<!-- rnu: a.mjs -->\n~~~js\n~~~', /^broken\.md:10: 'rnu' is not a known comment/],
  ['a file that nothing runs', '<!-- file: a.mjs -->\n~~~js\n~~~', /^broken\.md:10: nothing on the page runs a\.mjs/],
  ['a script that does not exist', '<!-- not run: it waits -->\n~~~sh\nnpm run bogus\n~~~',
    /^broken\.md:10: package\.json has no script 'bogus'/],
  ['a program that is not installed', '<!-- not run: it waits -->\n~~~sh\nnpx bogus\n~~~', /^broken\.md:10: no program 'bogus'/],
  ['a package that the docs are not run with', '<!-- not run: it waits -->\n~~~sh\nnpm install --save-dev fastify bogus\n~~~',
    /^broken\.md:10: the package 'bogus'/]
]

for (const [what, block, problem] of BROKEN) {
  t.test(`docs: ${what} is reported with its page and line`, async (t) => {
    const { problems } = await outcomeOf(block)
    t.equal(problems.length, 1, problems.join('\n'))
    t.match(problems[0], problem)
  })
}

t.test('docs: a block without an end is reported with its page and line', async (t) => {
  await t.rejects(outcomeOf('~~~sh\necho'), { message: 'broken.md:9: the block has no end' })
})

t.test('docs: a correct page has no problems, its blocks see earlier files, and blocks that are not run are listed', async (t) => {
  const page = `<!-- file: a.mjs -->\n~~~js\nexport const a = 'one'\n~~~\n<!-- run: b.mjs -->\n~~~js\nimport { a } from './a.mjs'\nconsole.log(a)\n~~~\n~~~text\none\n~~~
<!-- file: c.json -->\n~~~json\n{}\n~~~\n<!-- exit: 3 -->\n~~~sh\ncat right.txt c.json\nexit 3\n~~~\n~~~text\nright\n{}\n~~~\n<!-- not run: it would wait -->\n~~~sh\nnpm test\n~~~`
  t.strictSame({ ...await outcomeOf(page) }, { problems: [], notRun: ['broken.md:35: it would wait'] })
})

t.test('docs: an output may leave out lines and let numbers vary, and must match otherwise', async (t) => {
  t.ok(isShown('a\n...\nd', 'a\nb\nc\nd\n'))
  t.ok(isShown('...\nb', 'b'))
  t.notOk(isShown('a\nd', 'a\nb\nd'))
  t.notOk(isShown('a\n...\nd', 'a\nbd'))
  t.notOk(isShown('a.c', 'abc'))
  t.ok(isShown('took 1.25 ms', 'took 17 ms', ''))
  t.notOk(isShown('took 1.25 ms', 'took 17 ms'))
  t.ok(isShown('hit; ttl=59, size=4', 'hit; ttl=7, size=4', 'age, ttl'))
  t.notOk(isShown('hit; ttl=59, size=4', 'hit; ttl=7, size=5', 'age, ttl'))
})
