// The results of the tests: how many passed, failed and were skipped, and the output of those that failed.
import { Parser } from 'tap-parser'

const UNINTERESTING = /^(?:ok\b.*|# Subtest: .*|# time=.*|# \{ total: .*|1\.\.\d+.*|TAP version \d+|)$/
const OUT_OF_TIME = /^timeout!/

/**
 * Counts tests, which are the innermost named blocks; a file without any counts as one. A block that fails without a
 * failure inside it (a file that crashed, a plan that does not fit) counts as a failed test too.
 */
export class Results {
  passed = 0
  failed = 0
  skipped = 0
  /** The full names of failed tests, with a remark if the time limit ended one. */
  failures = []
  /** The full names of skipped tests, with the reason. */
  skips = []
  #onFile
  #parser = new Parser()
  #lines = []

  /** `onFile({ name, ok, tests, seconds, lines })` is called for each file that ended. `lines` doesn't contain what passed. */
  constructor (onFile = () => {}) {
    this.#onFile = onFile
    // The lines of a file come before its result; those of the next file come after it.
    this.#parser.on('line', (line) => { if (!UNINTERESTING.test(line.trim())) this.#lines.push(line.trimEnd()) })
    this.#read(this.#parser, [])
  }

  write (text) {
    this.#parser.write(text)
  }

  end () {
    this.#parser.end()
  }

  /** Reads one block. Returns its counts, which grow while it is read. */
  #read (parser, path) {
    const counted = { tests: 0, failures: 0, isOutOfTime: false }
    let block
    parser.on('child', (child) => { block = { name: unescape(child.name), counted: this.#read(child, [...path, unescape(child.name)]) } })
    // The assertion after a block is its result, whatever its name is. If the time limit ended the block, the name says so.
    parser.on('assert', (result) => {
      this.#count(result, { block, path, counted })
      if (path.length === 0) this.#endFile(result, block)
      block = undefined
    })
    return counted
  }

  #count (result, { block, path, counted }) {
    const isSkipped = result.skip !== false || result.todo !== false
    const inside = block?.counted ?? { tests: 0, failures: 0, isOutOfTime: false }
    counted.tests += inside.tests
    counted.failures += inside.failures
    // A result without a block is an assertion, not a test, unless it is a skipped test.
    const isOutOfTime = OUT_OF_TIME.test(result.name)
    if (block === undefined && !isSkipped && path.length > 0) {
      counted.isOutOfTime ||= isOutOfTime
      return
    }
    const failsAlone = !result.ok && !isSkipped && inside.failures === 0
    if (inside.tests > 0 && !failsAlone) return
    counted.tests++
    if (failsAlone) counted.failures++
    this[isSkipped ? 'skipped' : result.ok ? 'passed' : 'failed']++
    const name = [...path, block?.name ?? result.name].join(' > ')
    if (failsAlone) {
      this.failures.push(isOutOfTime || inside.isOutOfTime ? `${name} (not finished within the time limit of its file)` : name)
    }
    if (isSkipped) this.skips.push(`${name} # ${directiveOf(result)}`)
  }

  #endFile ({ name, ok, time }, block) {
    const lines = this.#lines
    this.#lines = []
    this.#onFile({ name: block?.name ?? name, ok, tests: Math.max(1, block?.counted.tests ?? 1), seconds: (time ?? 0) / 1_000, lines })
  }
}

function directiveOf ({ skip, todo }) {
  const [word, reason] = skip !== false ? ['SKIP', skip] : ['TODO', todo]
  return typeof reason === 'string' && reason !== '' ? `${word} ${reason}` : word
}

function unescape (name) {
  return name.replace(/\\([#\\])/g, '$1')
}
