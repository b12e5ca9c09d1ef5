// How keys are encoded in SQLite: as UTF-8, in which no two keys are the same. Also finds the ranges of keys with a prefix.

// UTF-8 turns every lone surrogate into U+FFFD, so a key with a lone surrogate is spelled out after this marker. To keep this unambiguous,
// a key that begins with the marker is spelled out too.
const SPELLED_OUT = '\u0000utf16:'
const LONE_SURROGATE = /\p{Surrogate}/u
const LAST_CODE_POINT = 0x10FFFF

/** The text under which `key` is stored. */
export function storedText (key: string): string {
  if (key.isWellFormed() && !key.startsWith(SPELLED_OUT)) return key
  return SPELLED_OUT + Buffer.from(key, 'utf16le').toString('base64')
}

/** The key that was stored as `text`. */
export function keyOf (text: string): string {
  if (!text.startsWith(SPELLED_OUT)) return text
  return Buffer.from(text.slice(SPELLED_OUT.length), 'base64').toString('utf16le')
}

/** The stored keys from `from` on, up to but not including `before`. */
export interface KeyRange {
  readonly from: string | Uint8Array
  /** An empty blob if there is no end: SQLite sorts blobs after texts. */
  readonly before: string | Uint8Array
}

const WITHOUT_END = new Uint8Array(0)

/**
 * The ranges of keys that begin with `prefix`. They also contain other keys, so each key must be checked. Ranges may overlap.
 */
export function rangesOf (prefix: string): KeyRange[] {
  if (prefix === '') return [{ from: '', before: WITHOUT_END }]
  // UTF-8 sorts by code point. For a prefix with half a surrogate pair, the range is that of the text before the half.
  const lone = LONE_SURROGATE.exec(prefix)
  const head = lone === null ? prefix : prefix.slice(0, lone.index)
  if (head === '') return rangesOf('')
  return [{ from: head, before: successorOf(head) }, { from: SPELLED_OUT, before: successorOf(SPELLED_OUT) }]
}

/** The ranges before and after a range. */
export function outsideOf ({ from, before }: KeyRange): KeyRange[] {
  return [{ from: '', before: from }, { from: before, before: WITHOUT_END }]
}

/** The least stored key after `text`. */
export function afterKey (text: string): string {
  return text + '\u0000'
}

/** The least text that is greater than all texts that begin with `text`. */
function successorOf (text: string): string | Uint8Array {
  const points = Array.from(text, (character) => character.codePointAt(0) as number)
  while (points.length > 0) {
    const last = points.pop() as number
    // If the next code point is a surrogate, it becomes U+FFFD, which is greater too.
    if (last < LAST_CODE_POINT) return String.fromCodePoint(...points, last + 1)
  }
  return WITHOUT_END
}
