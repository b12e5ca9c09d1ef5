// Encodes keys and values for Redis. Different keys always get different UTF-8. A stored value follows a head.
import type { StoredEntry } from '../../registry/backend.js'

// The keys of versions begin with this text after the prefix. No stored form of an entry's key does.
const VERSION = '\u0000version:'

// UTF-8 turns every lone surrogate into U+FFFD. Therefore the rest of a key, from its first lone surrogate on, is stored as base64 after
// this marker. To keep this unambiguous, the rest of a key that contains the marker itself is stored as base64 too, and so is a key that
// begins like that of a version.
const SPELLED_OUT = '\u0000utf16:'
const LONE_SURROGATE = /\p{Surrogate}/u

/** Returns the least of these indexes that is not -1, or -1 if all of them are -1. */
function earliest (...found: readonly number[]): number {
  const there = found.filter((at) => at !== -1)
  return there.length === 0 ? -1 : Math.min(...there)
}

/** Returns the text that follows the prefix in the stored form of `key`. */
export function storedText (key: string): string {
  if (key.isWellFormed() && !key.includes(SPELLED_OUT) && !isVersion(key)) return key
  const at = isVersion(key) ? 0 : earliest(key.isWellFormed() ? -1 : key.search(LONE_SURROGATE), key.indexOf(SPELLED_OUT))
  return key.slice(0, at) + SPELLED_OUT + Buffer.from(key.slice(at), 'utf16le').toString('base64')
}

/** Returns the key that is stored as `text`. */
export function keyOf (text: string): string {
  const at = text.indexOf(SPELLED_OUT)
  return at === -1 ? text : text.slice(0, at) + Buffer.from(text.slice(at + SPELLED_OUT.length), 'base64').toString('utf16le')
}

/** Returns the text that follows the prefix in the key of the version `name`. */
export function versionText (name: string): string {
  return VERSION + storedText(name)
}

/** Returns whether the key that is stored as `text` is that of a version, and not that of an entry. */
export function isVersion (text: string): boolean {
  return text.startsWith(VERSION)
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

// An entry's value follows a head. `set` writes the older format, which earlier versions of this package can read, too:
//   FRC1, expiresAt (double)
// `settle` writes the newer one, whose head is also the record of the tokens for the key. scripts.ts reads and writes it:
//   FRC2, expiresAt (double), epoch (8 characters), given, stored, holder (4 bytes each), leaseUntil, aloneUntil (double each)
// All numbers are big-endian. If a key has been claimed and there is no entry, expiresAt is 0, and nothing follows the head.
const MAGIC = 0x46524331
const MAGIC_OF_RECORDS = 0x46524332
const INSTANT_AT = 4
const EPOCH_AT = 12

/** The number of bytes that precede the value in the older format. */
export const HEADER_BYTES = 12

/** The number of bytes that precede the value in the newer format. */
export const RECORD_BYTES = 48

export function encodeValue ({ value, expiresAt }: StoredEntry): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + value.byteLength)
  bytes.writeUInt32BE(MAGIC, 0)
  bytes.writeDoubleBE(expiresAt, INSTANT_AT)
  bytes.set(value, HEADER_BYTES)
  return bytes
}

/** Encodes an entry in the newer format, with the key's epoch. The rest of the record is written by the script that stores the entry. */
export function encodeRecord ({ value, expiresAt }: StoredEntry, epoch: string): Buffer {
  const bytes = Buffer.allocUnsafe(RECORD_BYTES + value.byteLength)
  bytes.writeUInt32BE(MAGIC_OF_RECORDS, 0)
  bytes.writeDoubleBE(expiresAt, INSTANT_AT)
  bytes.write(epoch, EPOCH_AT, 'latin1')
  bytes.fill(0, EPOCH_AT + epoch.length, RECORD_BYTES)
  bytes.set(value, RECORD_BYTES)
  return bytes
}

/** Returns an expiry time as it is stored: a whole number that every client represents exactly. */
export function storedInstant (expiresAt: number): number {
  return Math.min(Math.floor(expiresAt), Number.MAX_SAFE_INTEGER)
}

/** Returns the size of the head, or undefined if the head is not ours or is cut off. */
function headBytes (bytes: Buffer): number | undefined {
  if (bytes.byteLength < HEADER_BYTES) return undefined
  const magic = bytes.readUInt32BE(0)
  if (magic === MAGIC) return HEADER_BYTES
  return magic === MAGIC_OF_RECORDS && bytes.byteLength >= RECORD_BYTES ? RECORD_BYTES : undefined
}

/** Returns the expiry time in a head, or undefined if the head is not ours. It is 0 if there is no entry. */
export function expiryOf (bytes: Buffer): number | undefined {
  return headBytes(bytes) === undefined ? undefined : bytes.readDoubleBE(INSTANT_AT)
}

/** Returns the entry in these bytes, or undefined if the bytes are not ours. If there is only a record, `expiresAt` is 0. */
export function decodeValue (bytes: Buffer): StoredEntry | undefined {
  const head = headBytes(bytes)
  return head === undefined ? undefined : { value: bytes.subarray(head), expiresAt: bytes.readDoubleBE(INSTANT_AT) }
}
