// Formats results as text: the scores, the topics compared with other caches, and the tests that did not pass.
import type { Topic } from './suite.js'
import { kindOf, type Count, type Tally, type Verdicts } from './verdicts.js'

/** The saved result of another cache. */
export interface Anchor extends Tally {
  readonly name: string
  readonly version: string
}

const counted = ({ of, pass, fail, dep, setup }: Count): string => `${pass}/${fail}/${dep}/${setup} of ${of}`

/** Returns a table with a row for each cache, the best cache first. */
export function scores (rows: readonly Anchor[]): string {
  const cells = rows.toSorted((one, other) => other.score - one.score).map(({ name, version, score, required, optimal, check }) =>
    [name, version, String(score), counted(required), counted(optimal), counted(check)])
  return grid([
    'cache', 'version', `score of ${scored(rows[0]!)}`, 'required pass/fail/dep/setup', 'optimal', 'check: yes/no/dep/setup'
  ], cells)
}

const scored = ({ required, optimal }: Tally): number => required.of + optimal.of

/**
 * Returns a table with a row for each topic and a column for each cache. A cell has two counts: passed scored tests, and questions with the
 * result yes.
 */
export function byTopic (topics: readonly Topic[], rows: readonly Anchor[]): string {
  const cells = topics.map(({ id, tests }) => {
    const of = (kind: string): number => tests.filter((test) => kindOf(test) === kind && test.browser_only !== true).length
    return [`${id} (${of('required') + of('optimal')}, ${of('check')})`, ...rows.map((row) => {
      const [required, optimal, check] = row.topics[id]!
      return `${required + optimal}, ${check}`
    })]
  })
  return grid(['topic (scored, questions)', ...rows.map(({ name }) => name)], cells)
}

/** Returns a line for each scored test that did not pass. */
export function notPassed (topics: readonly Topic[], verdicts: Verdicts, why: (id: string) => string): string {
  return topics.flatMap((topic) => topic.tests
    .filter((test) => test.id in verdicts && kindOf(test) !== 'check' && verdicts[test.id] !== 'pass')
    .map((test) => `${kindOf(test).padEnd(8)} ${verdicts[test.id]!.padEnd(7)} ${topic.id}/${test.id}  ${why(test.id)}`)).join('\n')
}

/** Returns a Markdown table with aligned columns. */
export function grid (heads: readonly string[], rows: readonly string[][]): string {
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column]!.length)))
  const line = (cells: readonly string[]): string => `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`
  return [line(heads), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n')
}
