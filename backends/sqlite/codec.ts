// Encodes keys for SQLite. Different keys always get different UTF-8. Also finds the ranges of keys with a prefix.

// UTF-8 turns every lone surrogate into U+FFFD, so a key with a lone surrogate is stored as base64 after this marker. To keep this
// unambiguous, a key that begins with the marker is stored as base64 too.
const SPELLED_OUT = '\u0000utf16:'
const LONE_SURROGATE = /\p{Surrogate}/u
const LAST_CODE_POINT = 0x10FFFF

/** Returns the text under which `key` is stored. */
export function storedText (key: string): string {
  if (key.isWellFormed() && !key.startsWith(SPELLED_OUT)) return key
  return SPELLED_OUT + Buffer.from(key, 'utf16le').toString('base64')
}

/** Returns the key that was stored as `text`. */
export function keyOf (text: string): string {
  if (!text.startsWith(SPELLED_OUT)) return text
  return Buffer.from(text.slice(SPELLED_OUT.length), 'base64').toString('utf16le')
}

/** A range of stored keys. It begins with `from`, and ends before `before`. */
export interface KeyRange {
  readonly from: string | Uint8Array
  /** An empty blob if the range has no end, because SQLite sorts blobs after texts. */
  readonly before: string | Uint8Array
}

/** The end of a range that has none. */
export const WITHOUT_END = new Uint8Array(0)

/** Returns ranges that contain all keys with this `prefix`. They may overlap, and contain other keys too, so the caller must check each. */
export function rangesOf (prefix: string): KeyRange[] {
  if (prefix === '') return [{ from: '', before: WITHOUT_END }]
  // UTF-8 sorts by code point. If the prefix contains half a surrogate pair, the range is that of the text before this half.
  const lone = LONE_SURROGATE.exec(prefix)
  const head = lone === null ? prefix : prefix.slice(0, lone.index)
  if (head === '') return rangesOf('')
  return [{ from: head, before: successorOf(head) }, { from: SPELLED_OUT, before: successorOf(SPELLED_OUT) }]
}

/** Returns the range before a range, and the range after it. */
export function outsideOf ({ from, before }: KeyRange): KeyRange[] {
  return [{ from: '', before: from }, { from: before, before: WITHOUT_END }]
}

/** Returns the least stored key after `text`. */
export function afterKey (text: string): string {
  return text + '\u0000'
}

/** Returns the least text that is greater than all texts that begin with `text`. */
function successorOf (text: string): string | Uint8Array {
  const points = Array.from(text, (character) => character.codePointAt(0) as number)
  while (points.length > 0) {
    const last = points.pop() as number
    // If the next code point is a surrogate, it is stored as U+FFFD, which is greater too.
    if (last < LAST_CODE_POINT) return String.fromCodePoint(...points, last + 1)
  }
  return WITHOUT_END
}
