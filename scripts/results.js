// What came of the tests: how many passed, failed and were skipped, and what a reader needs of those that failed.
import { Parser } from 'tap-parser'

const UNINTERESTING = /^(?:ok\b.*|# Subtest: .*|# time=.*|# \{ total: .*|1\.\.\d+.*|TAP version \d+|)$/
const OUT_OF_TIME = /^timeout!/

/**
 * Counts tests, which are the innermost named blocks: a file that has none counts as one. Whatever fails without a
 * failure inside it (a file that crashed, a plan that does not fit) counts as a failed test of its own.
 */
export class Results {
  passed = 0
  failed = 0
  skipped = 0
  /** The full names of what failed; where the time limit ended one, that is said. */
  failures = []
  /** Those of what was skipped, with the reason. */
  skips = []
  #onFile
  #parser = new Parser()
  #lines = []

  /** `onFile({ name, ok, tests, seconds, lines })` is called for each file that ended; `lines` leaves out what passed. */
  constructor (onFile = () => {}) {
    this.#onFile = onFile
    // The lines of a file come before its result, and the next file's after it.
    this.#parser.on('line', (line) => { if (!UNINTERESTING.test(line.trim())) this.#lines.push(line.trimEnd()) })
    this.#read(this.#parser, [])
  }

  write (text) {
    this.#parser.write(text)
  }

  end () {
    this.#parser.end()
  }

  /** Reads one block. Returns what was counted in it, which grows. */
  #read (parser, path) {
    const counted = { tests: 0, failures: 0, isOutOfTime: false }
    let block
    parser.on('child', (child) => { block = { name: unescape(child.name), counted: this.#read(child, [...path, unescape(child.name)]) } })
    // What follows a block is its result, whatever it is called: one that the time limit ended is called that.
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
    // What has no block is an assertion and not a test; only a test that is skipped looks the same.
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
      this.failures.push(isOutOfTime || inside.isOutOfTime ? `${name} (it had not ended when the time limit of its file had passed)` : name)
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
