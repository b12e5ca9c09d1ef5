// Keys as Redis stores them: UTF-8 that no two different strings share, and patterns that match no more than they should.

// In UTF-8 every lone surrogate becomes U+FFFD: from the first one on a key is spelled out, and so is one that would look like that.
const SPELLED_OUT = '\u0000utf16:'
const LONE_SURROGATE = /\p{Surrogate}/u

/** Where the first of them begins that is there; -1 when none is. */
function earliest (...found: readonly number[]): number {
  const there = found.filter((at) => at !== -1)
  return there.length === 0 ? -1 : Math.min(...there)
}

/** The text under which `key` is stored, behind the prefix. */
export function storedKey (key: string): string {
  if (key.isWellFormed() && !key.includes(SPELLED_OUT)) return key
  const at = earliest(key.isWellFormed() ? -1 : key.search(LONE_SURROGATE), key.indexOf(SPELLED_OUT))
  return key.slice(0, at) + SPELLED_OUT + Buffer.from(key.slice(at), 'utf16le').toString('base64')
}

/** The key that is stored as `text`. */
export function keyOf (text: string): string {
  const at = text.indexOf(SPELLED_OUT)
  return at === -1 ? text : text.slice(0, at) + Buffer.from(text.slice(at + SPELLED_OUT.length), 'base64').toString('utf16le')
}

/** What every stored key begins with whose key begins with `prefix`. Others may begin with it too. */
export function storedPrefix (prefix: string): string {
  const at = earliest(prefix.search(LONE_SURROGATE), prefix.indexOf('\u0000'))
  return at === -1 ? prefix : prefix.slice(0, at)
}

/** A pattern of SCAN for what begins with `text`. */
export function beginsWith (text: string): string {
  return `${text.replace(/[\\*?[\]]/g, '\\$&')}*`
}
