// The shape of a route's pattern. It tells which paths the pattern may match, without running the pattern's regular expressions.

interface Segment {
  /** The text with which the segment begins. If `isOpen` is false, this is the whole segment. */
  readonly text: string
  /** Whether more text may follow in this segment, because the segment has a parameter or a wildcard. */
  readonly isOpen: boolean
  /** Whether the router runs a regular expression on the segment: one in the pattern, or one that separates several parameters. */
  readonly isTested: boolean
}

export interface Shape {
  readonly segments: readonly Segment[]
  /** Whether more segments may follow, because the pattern ends with a wildcard. */
  readonly isEndless: boolean
}

const TEXT = /(?:[^/:*]|::)*/y
const NAME = /[^(\-./]*/y
const TEXT_AFTER_PARAMETER = /(?:[^/:]|::)*/y

/**
 * The lower-case form of the letter U+0130, which has two characters instead of one. If find-my-way ignores case, it therefore reads the
 * parameters after this letter from one character too late, possibly from after a slash. So any text may follow this letter in a path.
 */
const LONGER = 'i\u0307'

/** An optional parameter at the end of a pattern, in the syntax of find-my-way. */
const OPTIONAL = /(\/:[^/()]*)\?(\/?)$/

/** Returns the pattern with and without its last parameter if that parameter is optional, otherwise only the pattern itself. */
export function alternatives (pattern: string): string[] {
  return OPTIONAL.test(pattern) ? [pattern.replace(OPTIONAL, '$1$2'), pattern.replace(OPTIONAL, '$2') || '/'] : [pattern]
}

export function shapeOf (pattern: string): Shape {
  const segments: Segment[] = []
  for (let at = 0; at <= pattern.length; at++) {
    const written = read(TEXT, pattern, at)
    const text = written.replaceAll('::', ':').split(LONGER, 1)[0] as string
    at += written.length
    if (pattern[at] === '*' || written.includes(LONGER)) {
      return { segments: [...segments, { text, isOpen: true, isTested: false }], isEndless: true }
    }
    const begins = at
    at = endOfParameters(pattern, at)
    segments.push({ text, isOpen: at > begins, isTested: /[-.(]/.test(pattern.slice(begins, at)) })
  }
  return { segments, isEndless: false }
}

/** Returns whether a path with these segments may match the pattern. The pattern's regular expressions are not run. */
export function allows ({ segments, isEndless }: Shape, path: readonly string[]): boolean {
  if (isEndless ? path.length < segments.length : path.length !== segments.length) return false
  return segments.every(({ text, isOpen }, at) => isOpen ? path[at]!.startsWith(text) : path[at] === text)
}

/** Returns the index at which a segment with parameters at `begins` ends. A slash within a regular expression does not end a segment. */
function endOfParameters (pattern: string, begins: number): number {
  let at = begins
  while (pattern[at] === ':') {
    at += 1 + read(NAME, pattern, at + 1).length
    if (pattern[at] === '(') at = endOfExpression(pattern, at)
    at += read(TEXT_AFTER_PARAMETER, pattern, at).length
  }
  return at
}

function endOfExpression (pattern: string, begins: number): number {
  let depth = 0
  for (let at = begins; at < pattern.length; at++) {
    if (pattern[at] === '\\') at++
    else if (pattern[at] === '(') depth++
    else if (pattern[at] === ')' && --depth === 0) return at + 1
  }
  return pattern.length
}

function read (expression: RegExp, text: string, at: number): string {
  expression.lastIndex = at
  return expression.exec(text)![0]
}
