// Encodes entries as records of bytes: a head, the key and the value, with checksums that detect any damage.
import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { StoredEntry } from './backend.js'

// The head begins with MARK. The other numbers are the offsets of the head's fields, all little-endian. FILE_CRC is the checksum of all
// bytes after it. HEAD_CRC is the checksum of the bytes from its own end to the end of the key, for reads without the value. MARK needs no
// checksum, because it is always the same. The size of the record must match the sizes in the head.
const MARK = 0x31637266 // 'frc1'
const FILE_CRC = 4
const HEAD_CRC = 8
const EXPIRES_AT = 12
const VALUE_BYTES = 20
const KEY_BYTES = 24

/** The length of the head. */
export const HEAD_BYTES = 28

// The first byte of a key that is stored as UTF-16, because UTF-8 can't tell its lone surrogates apart. This byte never occurs in UTF-8.
const IS_UTF16 = Buffer.of(0xFF)

/** The decoded part of a record that precedes the value. */
export interface Head {
  /** The key, encoded by `storedKey`. */
  readonly key: Buffer
  readonly expiresAt: number
}

/** Encodes a key as bytes. Different keys always have different bytes. */
export function storedKey (key: string): Buffer {
  return key.isWellFormed() ? Buffer.from(key) : Buffer.concat([IS_UTF16, Buffer.from(key, 'utf16le')])
}

/** Decodes a key that was encoded by `storedKey`. */
export function keyOf (stored: Buffer): string {
  return stored[0] === IS_UTF16[0] ? stored.toString('utf16le', 1) : stored.toString()
}

/** Returns the name under which the entry of an encoded key is stored: a digest of 64 hexadecimal digits. */
export function nameOf (stored: Buffer): string {
  return hash('sha256', stored, 'hex')
}

/** Encodes the part of a record that precedes the value: the head and the key. */
export function encodeHead (key: Buffer, { value, expiresAt }: StoredEntry): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES + key.length)
  head.writeUInt32LE(MARK)
  head.writeDoubleLE(expiresAt, EXPIRES_AT)
  head.writeUInt32LE(value.byteLength, VALUE_BYTES)
  head.writeUInt32LE(key.length, KEY_BYTES)
  key.copy(head, HEAD_BYTES)
  head.writeUInt32LE(crc32(head.subarray(EXPIRES_AT)), HEAD_CRC)
  const headCrc = crc32(head.subarray(HEAD_CRC))
  // If there are no bytes, crc32 returns 0 instead of the checksum that it was given.
  head.writeUInt32LE(value.byteLength === 0 ? headCrc : crc32(value, headCrc), FILE_CRC)
  return head
}

/** Encodes a whole record: head, key and value. */
export function encodeRecord (key: Buffer, entry: StoredEntry): Buffer {
  return Buffer.concat([encodeHead(key, entry), entry.value])
}

/** Returns the length of head and key together. Does not verify the checksum. Returns undefined if the bytes are not a record. */
export function headBytesOf (bytes: Buffer): number | undefined {
  if (bytes.length < HEAD_BYTES || bytes.readUInt32LE() !== MARK) return undefined
  return HEAD_BYTES + bytes.readUInt32LE(KEY_BYTES)
}

/** Decodes the head of a record of `fileBytes` that begins with `bytes`. Returns undefined if the head is damaged or there is no record. */
export function readHead (bytes: Buffer, fileBytes: number): Head | undefined {
  const valueAt = valueAtOf(bytes, fileBytes)
  if (valueAt === undefined || valueAt > bytes.length) return undefined
  if (crc32(bytes.subarray(EXPIRES_AT, valueAt)) !== bytes.readUInt32LE(HEAD_CRC)) return undefined
  return { key: bytes.subarray(HEAD_BYTES, valueAt), expiresAt: bytes.readDoubleLE(EXPIRES_AT) }
}

/** Decodes the entry of `key` from a record, the first `fileBytes` of `bytes`. Returns undefined if it is damaged or has another key. */
export function decodeRecord (bytes: Buffer, key: Buffer, fileBytes = bytes.length): StoredEntry | undefined {
  const valueAt = valueAtOf(bytes, fileBytes)
  if (valueAt !== HEAD_BYTES + key.length || !holdsKey(bytes, key)) return undefined
  if (crc32(bytes.subarray(HEAD_CRC, fileBytes)) !== bytes.readUInt32LE(FILE_CRC)) return undefined
  return { value: bytes.subarray(valueAt, fileBytes), expiresAt: bytes.readDoubleLE(EXPIRES_AT) }
}

/** Returns whether the record belongs to `key`. For keys of usual length, this loop is faster than `compare`. */
function holdsKey (bytes: Buffer, key: Buffer): boolean {
  for (let at = 0; at < key.length; at++) if (bytes[HEAD_BYTES + at] !== key[at]) return false
  return true
}

/** Returns the offset of the value in a record that is `fileBytes` long, or undefined if the sizes in the head don't add up to that. */
function valueAtOf (bytes: Buffer, fileBytes: number): number | undefined {
  const valueAt = headBytesOf(bytes)
  return valueAt !== undefined && valueAt + bytes.readUInt32LE(VALUE_BYTES) === fileBytes ? valueAt : undefined
}
