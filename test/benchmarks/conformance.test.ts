// How results of the public test suite are counted and printed. The suite itself is not run here.
import t from 'tap'
import type { Suite, Test, Topic } from '../../benchmarks/conformance/suite.js'
import { byTopic, grid, notPassed, scores, type Anchor } from '../../benchmarks/conformance/table.js'
import { chosen, majority, tally, unstable, verdictNamed, type Verdicts } from '../../benchmarks/conformance/verdicts.js'
import { source } from '../support/sources.js'

const tests = (...all: Array<Partial<Test> & { id: string }>): Test[] => all.map((test) => ({ name: test.id, ...test }))

const topics: Topic[] = [
  {
    id: 'fresh',
    name: 'Freshness',
    tests: tests({ id: 'none' }, { id: 'age', kind: 'optimal', depends_on: ['none'] }, { id: 'browser', browser_only: true })
  },
  {
    id: 'stale',
    name: 'Staleness',
    tests: tests({ id: 'swr', kind: 'optimal', depends_on: ['age'] }, { id: 'warn', kind: 'check', depends_on: ['none'] })
  }
]
const suite: Suite = { topics, verdictOf: () => 'untested' }

const all = (verdicts: Verdicts, name = 'ours'): Anchor => ({ name, version: '1', ...tally(topics, verdicts) })

t.test('conformance: the verdict of most runs counts', async (t) => {
  t.same(majority([{ a: 'pass', b: 'miss' }, { a: 'fail', b: 'pass' }, { a: 'pass', b: 'pass' }]), { a: 'pass', b: 'pass' })
})

t.test('conformance: the worst verdict counts if several have equally many runs', async (t) => {
  t.same(majority([{ a: 'pass' }, { a: 'fail' }, { a: 'setup' }]), { a: 'setup' })
  t.same(majority([{ a: 'pass' }, { a: 'fail' }]), { a: 'fail' })
})

t.test('conformance: tests with different verdicts are listed with all of them', async (t) => {
  t.same(unstable([{ a: 'pass', b: 'yes' }, { a: 'fail', b: 'yes' }]), { a: ['pass', 'fail'] })
})

t.test('conformance: the score counts passed required and optimal tests, not questions', async (t) => {
  const { score, required, optimal, check } = tally(topics, { none: 'pass', age: 'pass', swr: 'miss', warn: 'yes' })
  t.equal(score, 2)
  t.same([required.pass, optimal.pass, optimal.fail, check.pass], [1, 1, 1, 1])
})

t.test('conformance: a test that did not run neither passes nor fails', async (t) => {
  const { score, required, optimal, check } = tally(topics, { none: 'harness', age: 'dep', swr: 'retry', warn: 'dep' })
  t.equal(score, 0)
  t.same([required.setup, optimal.dep, optimal.setup, optimal.fail, check.dep], [1, 1, 1, 0, 1])
})

t.test('conformance: passed tests are counted by topic and kind', async (t) => {
  t.same(tally(topics, { none: 'pass', age: 'pass', swr: 'miss', warn: 'yes' }).topics, { fresh: [1, 1, 0], stale: [0, 0, 1] })
})

t.test('conformance: every verdict of the suite has a name here, and an unknown one is an error', async (t) => {
  const names = ['pass', 'fail', 'optional_fail', 'yes', 'no', 'dependency_fail', 'setup_fail', 'retry', 'harness_fail']
  t.equal(new Set(names.map(verdictNamed)).size, names.length)
  t.throws(() => verdictNamed('untested'), /untested/)
})

t.test('conformance: the dependencies of a chosen test run too, and only the chosen test is reported', async (t) => {
  const { asked, run } = chosen(suite, ['swr'], [])
  t.same([...asked], ['swr'])
  t.same([...run].sort(), ['age', 'none', 'swr'])
  t.same([...chosen(suite, [], ['stale']).asked], ['swr', 'warn'])
  t.throws(() => chosen(suite, ['unheard-of'], []), /unheard-of/)
})

t.test('conformance: all tests means all except those for browsers', async (t) => {
  const { asked, run } = chosen(suite, [], [])
  t.same([...asked], ['none', 'age', 'swr', 'warn'])
  t.same(asked, run)
})

t.test('conformance: the best cache comes first, with its counts', async (t) => {
  const [, , first, second] = scores([
    all({ none: 'fail', age: 'dep', swr: 'dep', warn: 'dep' }, 'bad'), all({ none: 'pass', age: 'pass', swr: 'miss', warn: 'no' }, 'good')
  ]).split('\n')
  t.match(first, /^\| good .*\| 2 +\| 1\/0\/0\/0 of 1 +\| 1\/1\/0\/0 of 2 +\| 0\/1\/0\/0 of 1/)
  t.match(second, /^\| bad .*\| 0 +\| 0\/1\/0\/0 of 1/)
})

t.test('conformance: each topic is a row, with scored tests and questions separate', async (t) => {
  const rows = byTopic(topics, [all({ none: 'pass', age: 'pass', swr: 'miss', warn: 'yes' })]).split('\n')
  t.match(rows[2], /^\| fresh \(2, 0\) +\| 2, 0 \|$/)
  t.match(rows[3], /^\| stale \(1, 1\) +\| 0, 1 \|$/)
})

t.test('conformance: scored tests that did not pass are listed with the suite\'s message, questions are not', async (t) => {
  const lines = notPassed(topics, { none: 'pass', age: 'miss', swr: 'dep', warn: 'no' }, (id) => `about ${id}`).split('\n')
  t.equal(lines.length, 2)
  t.match(lines[0], /^optimal +miss +fresh\/age +about age$/)
  t.match(lines[1], /^optimal +dep +stale\/swr +about swr$/)
})

t.test('conformance: columns are as wide as their widest cell', async (t) => {
  t.equal(grid(['a', 'bb'], [['long', 'x']]), '| a    | bb |\n|------|----|\n| long | x  |')
})

t.test('conformance: the saved results of other caches add up', async (t) => {
  const { caches } = JSON.parse(source('benchmarks/conformance/anchors.json').text) as { caches: Anchor[] }
  for (const { name, score, required, optimal, check, topics } of caches) {
    const sum = (kind: number): number => Object.values(topics).reduce((total, passes) => total + passes[kind]!, 0)
    t.same([sum(0), sum(1), sum(2), required.pass + optimal.pass], [required.pass, optimal.pass, check.pass, score], name)
  }
})
