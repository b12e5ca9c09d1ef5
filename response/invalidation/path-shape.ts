// A pattern's shape: which paths its segments allow, told without running a regular expression of the pattern.

interface Segment {
  /** What the segment begins with; the whole of it unless it is open. */
  readonly text: string
  /** Whether more may follow in this segment: a parameter, or a wildcard. */
  readonly isOpen: boolean
  /** Whether the router runs a regular expression on it: the pattern's own, or the one that tells several parameters apart. */
  readonly isTested: boolean
}

export interface Shape {
  readonly segments: readonly Segment[]
  /** Whether more segments may follow: the pattern ends with a wildcard. */
  readonly isEndless: boolean
}

const TEXT = /(?:[^/:*]|::)*/y
const NAME = /[^(\-./]*/y
const TEXT_AFTER_PARAMETER = /(?:[^/:]|::)*/y

/**
 * The lower case of U+0130, which is one character more: where case does not count, find-my-way takes the parameters behind it from one
 * character too far, beyond a slash maybe. So whatever follows it is allowed.
 */
const LONGER = 'i\u0307'

/** A parameter at the end that may be missing, as find-my-way has it. */
const OPTIONAL = /(\/:[^/()]*)\?(\/?)$/

/** The patterns that this one stands for: two where its last parameter may be missing. */
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

/** Whether a path of these segments may be one of the pattern's, whatever its regular expressions say. */
export function allows ({ segments, isEndless }: Shape, path: readonly string[]): boolean {
  if (isEndless ? path.length < segments.length : path.length !== segments.length) return false
  return segments.every(({ text, isOpen }, at) => isOpen ? path[at]!.startsWith(text) : path[at] === text)
}

/** Where the segment ends whose first parameter begins here. A slash within a regular expression ends none. */
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
