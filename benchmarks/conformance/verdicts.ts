// Finds the verdict on each test from several runs of the suite (the verdict of most runs counts), and counts the verdicts.
import type { Suite, Test, Topic } from './suite.js'

/** A required test can `pass` or `fail`, an optimal test can `pass` or `miss`, and the result of a question (check) is `yes` or `no`. */
export type Verdict = 'pass' | 'fail' | 'miss' | 'yes' | 'no' | 'dep' | 'setup' | 'retry' | 'harness'

/** The verdicts, from bad to good. If several verdicts occur in the same number of runs, the worst of them counts. */
const WORST_FIRST: readonly Verdict[] = ['harness', 'retry', 'setup', 'dep', 'fail', 'miss', 'no', 'yes', 'pass']

/** The suite's names for its verdicts. */
const NAMES: Readonly<Record<string, Verdict>> = {
  pass: 'pass',
  fail: 'fail',
  optional_fail: 'miss',
  yes: 'yes',
  no: 'no',
  dependency_fail: 'dep',
  setup_fail: 'setup',
  retry: 'retry',
  harness_fail: 'harness'
}

export type Verdicts = Readonly<Record<string, Verdict>>

/** The counts of verdicts for one kind of test. */
export interface Count {
  readonly of: number
  readonly pass: number
  readonly fail: number
  readonly dep: number
  readonly setup: number
}

/** The saved result of a cache. Its score is `required.pass + optimal.pass`. */
export interface Tally {
  readonly score: number
  readonly required: Count
  readonly optimal: Count
  readonly check: Count
  /** For each topic, the numbers of passed required tests, of passed optimal tests, and of questions with the result yes. */
  readonly topics: Readonly<Record<string, readonly [required: number, optimal: number, check: number]>>
}

export const kindOf = ({ kind = 'required' }: Test): 'required' | 'optimal' | 'check' => kind

/** Returns our name for a verdict of the suite. Throws if a test that has been run can't have this verdict. */
export function verdictNamed (name: string): Verdict {
  const verdict = NAMES[name]
  if (verdict === undefined) throw new Error(`the suite's verdict is '${name}'`)
  return verdict
}

/** Returns the verdict on each test that most runs have. */
export function majority (runs: readonly Verdicts[]): Verdicts {
  return Object.fromEntries(Object.keys(runs[0] ?? {}).map((id) => {
    const given = runs.map((run) => run[id] as Verdict)
    const times = (verdict: Verdict): number => given.filter((other) => other === verdict).length
    return [id, WORST_FIRST.toSorted((one, other) => times(other) - times(one))[0] as Verdict]
  }))
}

/** Returns the tests that have different verdicts in different runs, with the verdict of each run. */
export function unstable (runs: readonly Verdicts[]): Record<string, Verdict[]> {
  const all = Object.keys(runs[0] ?? {}).map((id) => [id, runs.map((run) => run[id] as Verdict)] as const)
  return Object.fromEntries(all.filter(([, given]) => new Set(given).size > 1))
}

export function tally (topics: readonly Topic[], verdicts: Verdicts): Tally {
  const tests = topics.flatMap((topic) => topic.tests).filter(({ id }) => id in verdicts)
  const [required, optimal, check] = (['required', 'optimal', 'check'] as const).map((kind) =>
    count(tests.filter((test) => kindOf(test) === kind).map(({ id }) => verdicts[id] as Verdict))) as [Count, Count, Count]
  return {
    score: required.pass + optimal.pass,
    required,
    optimal,
    check,
    topics: Object.fromEntries(topics.map(({ id, tests }) => [id, passesByKind(tests, verdicts)]))
  }
}

function count (verdicts: readonly Verdict[]): Count {
  const number = (...which: readonly Verdict[]): number => verdicts.filter((verdict) => which.includes(verdict)).length
  return {
    of: verdicts.length,
    pass: number('pass', 'yes'),
    fail: number('fail', 'miss', 'no'),
    dep: number('dep'),
    setup: number('setup', 'retry', 'harness')
  }
}

function passesByKind (tests: readonly Test[], verdicts: Verdicts): [number, number, number] {
  const passes = (kind: string): number =>
    tests.filter((test) => kindOf(test) === kind && ['pass', 'yes'].includes(verdicts[test.id] as string)).length
  return [passes('required'), passes('optimal'), passes('check')]
}

/** Returns the tests with these ids or topics (if none are given, all tests except those for browsers), and those on which they depend. */
export function chosen ({ topics }: Suite, ids: readonly string[], topicIds: readonly string[]): { asked: Set<string>, run: Set<string> } {
  const known = new Map(topics.flatMap(({ tests }) => tests).filter((test) => test.browser_only !== true).map((test) => [test.id, test]))
  const all = ids.length === 0 && topicIds.length === 0
  const named = topics.filter(({ id }) => topicIds.includes(id)).flatMap(({ tests }) => tests.map(({ id }) => id))
  const asked = new Set(all ? known.keys() : [...named.filter((id) => known.has(id)), ...ids])
  const run = new Set<string>()
  const add = (id: string): void => {
    const test = known.get(id)
    if (test === undefined) throw new Error(`the suite has no test '${id}'`)
    if (run.has(id)) return
    run.add(id)
    test.depends_on?.forEach(add)
  }
  asked.forEach(add)
  return { asked, run }
}
