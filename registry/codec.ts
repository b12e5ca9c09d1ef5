// How entries are stored as bytes: a record of a head, the key and the value, with checksums that detect any damage.
import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { StoredEntry } from './backend.js'

// Offsets, little endian. FILE_CRC covers everything after itself. HEAD_CRC, for reads without the value, covers what follows it to the
// end of the key. The mark is compared, and the size must match the head.
const MARK = 0x31637266 // 'frc1'
const FILE_CRC = 4
const HEAD_CRC = 8
const EXPIRES_AT = 12
const VALUE_BYTES = 20
const KEY_BYTES = 24

/** The length of the head. */
export const HEAD_BYTES = 28

// UTF-8 turns every lone surrogate into the same character. This byte never occurs in UTF-8.
const IS_UTF16 = Buffer.of(0xFF)

/** What precedes the value. */
export interface Head {
  /** As `storedKey` made it. */
  readonly key: Buffer
  readonly expiresAt: number
}

/** `key` as bytes, which are different for any two strings. */
export function storedKey (key: string): Buffer {
  return key.isWellFormed() ? Buffer.from(key) : Buffer.concat([IS_UTF16, Buffer.from(key, 'utf16le')])
}

/** The key that was stored as these bytes. */
export function keyOf (stored: Buffer): string {
  return stored[0] === IS_UTF16[0] ? stored.toString('utf16le', 1) : stored.toString()
}

/** The name under which the entry of a stored key is kept: a digest of 64 hexadecimal digits. */
export function nameOf (stored: Buffer): string {
  return hash('sha256', stored, 'hex')
}

/** The head and the key, which precede the value. */
export function encodeHead (key: Buffer, { value, expiresAt }: StoredEntry): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES + key.length)
  head.writeUInt32LE(MARK)
  head.writeDoubleLE(expiresAt, EXPIRES_AT)
  head.writeUInt32LE(value.byteLength, VALUE_BYTES)
  head.writeUInt32LE(key.length, KEY_BYTES)
  key.copy(head, HEAD_BYTES)
  head.writeUInt32LE(crc32(head.subarray(EXPIRES_AT)), HEAD_CRC)
  const headCrc = crc32(head.subarray(HEAD_CRC))
  // Node returns 0 for no bytes, whatever the previous checksum.
  head.writeUInt32LE(value.byteLength === 0 ? headCrc : crc32(value, headCrc), FILE_CRC)
  return head
}

/** Head, key and value in one piece. */
export function encodeRecord (key: Buffer, entry: StoredEntry): Buffer {
  return Buffer.concat([encodeHead(key, entry), entry.value])
}

/** The length of head and key, as the unchecked head says; undefined if the bytes are not ours. */
export function headBytesOf (bytes: Buffer): number | undefined {
  if (bytes.length < HEAD_BYTES || bytes.readUInt32LE() !== MARK) return undefined
  return HEAD_BYTES + bytes.readUInt32LE(KEY_BYTES)
}

/** The head of a file of `fileBytes` that begins with `bytes`; undefined if it is not ours or damaged. */
export function readHead (bytes: Buffer, fileBytes: number): Head | undefined {
  const valueAt = valueAtOf(bytes, fileBytes)
  if (valueAt === undefined || valueAt > bytes.length) return undefined
  if (crc32(bytes.subarray(EXPIRES_AT, valueAt)) !== bytes.readUInt32LE(HEAD_CRC)) return undefined
  return { key: bytes.subarray(HEAD_BYTES, valueAt), expiresAt: bytes.readDoubleLE(EXPIRES_AT) }
}

/**
 * The entry of `key` in a whole file, which is the first `fileBytes` of `bytes`; undefined if it is damaged or of another key.
 */
export function decodeRecord (bytes: Buffer, key: Buffer, fileBytes = bytes.length): StoredEntry | undefined {
  const valueAt = valueAtOf(bytes, fileBytes)
  if (valueAt !== HEAD_BYTES + key.length || !holdsKey(bytes, key)) return undefined
  if (crc32(bytes.subarray(HEAD_CRC, fileBytes)) !== bytes.readUInt32LE(FILE_CRC)) return undefined
  return { value: bytes.subarray(valueAt, fileBytes), expiresAt: bytes.readDoubleLE(EXPIRES_AT) }
}

/** A loop is faster than `compare` for keys of usual length. */
function holdsKey (bytes: Buffer, key: Buffer): boolean {
  for (let at = 0; at < key.length; at++) if (bytes[HEAD_BYTES + at] !== key[at]) return false
  return true
}

/** The offset of the value in a file of this size; undefined if the head says another size. */
function valueAtOf (bytes: Buffer, fileBytes: number): number | undefined {
  const valueAt = headBytesOf(bytes)
  return valueAt !== undefined && valueAt + bytes.readUInt32LE(VALUE_BYTES) === fileBytes ? valueAt : undefined
}
