// Encodes keys and values for Redis. Different keys always get different UTF-8. A stored value follows a mark and its expiry time.
import type { StoredEntry } from '../../registry/backend.js'

// UTF-8 turns every lone surrogate into U+FFFD. Therefore the rest of a key, from its first lone surrogate on, is stored as base64 after
// this marker. To keep this unambiguous, the rest of a key that contains the marker itself is stored as base64 too.
const SPELLED_OUT = '\u0000utf16:'
const LONE_SURROGATE = /\p{Surrogate}/u

/** Returns the least of these indexes that is not -1, or -1 if all of them are -1. */
function earliest (...found: readonly number[]): number {
  const there = found.filter((at) => at !== -1)
  return there.length === 0 ? -1 : Math.min(...there)
}

/** Returns the text that follows the prefix in the stored form of `key`. */
export function storedText (key: string): string {
  if (key.isWellFormed() && !key.includes(SPELLED_OUT)) return key
  const at = earliest(key.isWellFormed() ? -1 : key.search(LONE_SURROGATE), key.indexOf(SPELLED_OUT))
  return key.slice(0, at) + SPELLED_OUT + Buffer.from(key.slice(at), 'utf16le').toString('base64')
}

/** Returns the key that is stored as `text`. */
export function keyOf (text: string): string {
  const at = text.indexOf(SPELLED_OUT)
  return at === -1 ? text : text.slice(0, at) + Buffer.from(text.slice(at + SPELLED_OUT.length), 'base64').toString('utf16le')
}

/** Returns a string with which every key with this `prefix` begins when it is stored. Other keys may begin with it, too. */
export function storedPrefix (prefix: string): string {
  const at = earliest(prefix.search(LONE_SURROGATE), prefix.indexOf('\u0000'))
  return at === -1 ? prefix : prefix.slice(0, at)
}

/** Returns a SCAN pattern for keys that begin with `text`. */
export function beginsWith (text: string): string {
  return `${text.replace(/[\\*?[\]]/g, '\\$&')}*`
}

const MAGIC = 0x46524331
const INSTANT_AT = 4

/** The number of bytes that precede the value. */
export const HEADER_BYTES = 12

export function encodeValue ({ value, expiresAt }: StoredEntry): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + value.byteLength)
  bytes.writeUInt32BE(MAGIC, 0)
  bytes.writeDoubleBE(expiresAt, INSTANT_AT)
  bytes.set(value, HEADER_BYTES)
  return bytes
}

/** Returns the expiry time in a header, or undefined if the header is not ours. */
export function expiryOf (bytes: Buffer): number | undefined {
  return bytes.byteLength >= HEADER_BYTES && bytes.readUInt32BE(0) === MAGIC ? bytes.readDoubleBE(INSTANT_AT) : undefined
}

/** Returns the entry in these bytes, or undefined if the bytes are not ours. */
export function decodeValue (bytes: Buffer): StoredEntry | undefined {
  const expiresAt = expiryOf(bytes)
  return expiresAt === undefined ? undefined : { value: bytes.subarray(HEADER_BYTES), expiresAt }
}
