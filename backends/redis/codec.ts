// Keys and values as Redis stores them: keys as UTF-8 that no two different strings share; values behind a mark and their expiry.
import type { StoredEntry } from '../../registry/backend.js'

// In UTF-8 every lone surrogate becomes U+FFFD: from the first one on a key is spelled out, and so is one that would look like that.
const SPELLED_OUT = '\u0000utf16:'
const LONE_SURROGATE = /\p{Surrogate}/u

/** Where the first of them begins that is there; -1 when none is. */
function earliest (...found: readonly number[]): number {
  const there = found.filter((at) => at !== -1)
  return there.length === 0 ? -1 : Math.min(...there)
}

/** The text under which `key` is stored, behind the prefix. */
export function storedText (key: string): string {
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

const MAGIC = 0x46524331
const INSTANT_AT = 4

/** Bytes in front of the value. */
export const HEADER_BYTES = 12

export function encodeValue ({ value, expiresAt }: StoredEntry): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + value.byteLength)
  bytes.writeUInt32BE(MAGIC, 0)
  bytes.writeDoubleBE(expiresAt, INSTANT_AT)
  bytes.set(value, HEADER_BYTES)
  return bytes
}

/** The instant in a header; undefined when it is not ours. */
export function expiryOf (bytes: Buffer): number | undefined {
  return bytes.byteLength >= HEADER_BYTES && bytes.readUInt32BE(0) === MAGIC ? bytes.readDoubleBE(INSTANT_AT) : undefined
}

/** The entry that was packed; undefined when the bytes are not ours. */
export function decodeValue (bytes: Buffer): StoredEntry | undefined {
  const expiresAt = expiryOf(bytes)
  return expiresAt === undefined ? undefined : { value: bytes.subarray(HEADER_BYTES), expiresAt }
}
