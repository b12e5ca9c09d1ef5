// Reads TAP line by line: how many tests passed, failed and were skipped, and the lines of what failed.

const POINT = /^(not )?ok\b(?: \d+)?(?: - (.*))?$/
const SUBTEST = /^# Subtest: (.*)$/
const UNINTERESTING = /^(?:ok\b.*|# Subtest: .*|# time=.*|# \{ total: .*|1\.\.\d+.*|TAP version \d+|)$/
const INDENT = 4

/**
 * Counts tests, which are the innermost named blocks: a file that has none counts as one. Whatever fails without a
 * failure inside it (a file that crashed, a time-out, a plan that does not fit) counts as a failed test of its own.
 */
export class TapResults {
  passed = 0
  failed = 0
  skipped = 0
  /** The full names of what failed. */
  failures = []
  /** Those of what was skipped, with the reason. */
  skips = []
  #onFile
  #file
  #lines = []
  /** The open blocks, outermost first: how many tests were counted in each, and how many of them failed. */
  #open = []
  #inDiagnostics = false

  /** `onFile({ name, ok, tests, lines })` is called for each file that ended; `lines` leaves out what passed. */
  constructor (onFile = () => {}) {
    this.#onFile = onFile
  }

  write (line) {
    const text = line.trimStart()
    const depth = Math.floor((line.length - text.length) / INDENT)
    if (this.#inDiagnostics) {
      this.#lines.push(line)
      this.#inDiagnostics = text !== '...'
      return
    }
    const subtest = SUBTEST.exec(text)
    const point = POINT.exec(text)
    if (subtest !== null && depth === 0) this.end()
    if (!UNINTERESTING.test(text)) this.#lines.push(line)
    if (subtest !== null) this.#open[depth] = { name: unescape(subtest[1]), tests: 0, failures: 0 }
    else if (point !== null) this.#point(depth, point)
    else this.#inDiagnostics = text === '---'
  }

  /** Hands over the last file. */
  end () {
    if (this.#file !== undefined) this.#onFile({ ...this.#file, lines: this.#lines })
    this.#file = undefined
    this.#lines = []
  }

  #point (depth, [, not, rest = '']) {
    const block = this.#open[depth]
    const ok = not === undefined
    const isSkipped = /(?:^| )# (?:SKIP|TODO)\b/i.test(rest)
    const name = unescape(rest.replace(/ # time=.*$/, ''))
    this.#open.length = Math.min(this.#open.length, depth)
    // What has no block is an assertion and not a test; only a test that is skipped looks the same.
    if (block === undefined && !isSkipped) return
    const isInnermost = block === undefined || block.tests === 0
    const failsAlone = !ok && !isSkipped && block.failures === 0
    if (isInnermost || failsAlone) this.#count(isSkipped ? 'skipped' : ok ? 'passed' : 'failed', name)
    if (depth === 0) this.#file = { name, ok, tests: Math.max(1, block?.tests ?? 1) }
  }

  #count (outcome, name) {
    this[outcome]++
    for (const outer of this.#open) {
      outer.tests++
      if (outcome === 'failed') outer.failures++
    }
    const list = { failed: this.failures, skipped: this.skips }[outcome]
    list?.push([...this.#open.map((outer) => outer.name), name].join(' > '))
  }
}

function unescape (name) {
  return name.replace(/\\([#\\])/g, '$1')
}
