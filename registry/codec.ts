// The bytes of an entry with its key: a head of fixed size, the key, the value; no flipped, lost or added byte goes unnoticed.
import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { StoredEntry } from './backend.js'

// Little endian, by offset. One checksum covers all behind itself to the end of the file; that of the head, for those who
// read no value, all behind itself to the end of the key. The mark is compared, and the size must be what the head says.
const MARK = 0x31637266 // 'frc1'
const FILE_CRC = 4
const HEAD_CRC = 8
const EXPIRES_AT = 12
const VALUE_BYTES = 20
const KEY_BYTES = 24

/** What stands before the key. */
export const HEAD_BYTES = 28

// In UTF-8 every lone surrogate would become the same character. This byte is never part of UTF-8.
const IS_UTF16 = Buffer.of(0xFF)

/** What is read before the value. */
export interface Head {
  /** As `storedKey` made it. */
  readonly key: Buffer
  readonly expiresAt: number
}

/** The bytes that stand for `key`; no two strings share them. */
export function storedKey (key: string): Buffer {
  return key.isWellFormed() ? Buffer.from(key) : Buffer.concat([IS_UTF16, Buffer.from(key, 'utf16le')])
}

/** The key for which these bytes stand. */
export function keyOf (stored: Buffer): string {
  return stored[0] === IS_UTF16[0] ? stored.toString('utf16le', 1) : stored.toString()
}

/** The name under which a stored key's entry lies, whatever stands in the key: 64 hexadecimal digits. */
export function nameOf (stored: Buffer): string {
  return hash('sha256', stored, 'hex')
}

/** Head and key as they stand before the value. */
export function encodeHead (key: Buffer, { value, expiresAt }: StoredEntry): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES + key.length)
  head.writeUInt32LE(MARK)
  head.writeDoubleLE(expiresAt, EXPIRES_AT)
  head.writeUInt32LE(value.byteLength, VALUE_BYTES)
  head.writeUInt32LE(key.length, KEY_BYTES)
  key.copy(head, HEAD_BYTES)
  head.writeUInt32LE(crc32(head.subarray(EXPIRES_AT)), HEAD_CRC)
  const headCrc = crc32(head.subarray(HEAD_CRC))
  // Of no bytes Node gives 0, whatever came before.
  head.writeUInt32LE(value.byteLength === 0 ? headCrc : crc32(value, headCrc), FILE_CRC)
  return head
}

/** Head, key and value in one piece. */
export function encodeRecord (key: Buffer, entry: StoredEntry): Buffer {
  return Buffer.concat([encodeHead(key, entry), entry.value])
}

/** How many bytes head and key take, as far as `bytes`, which begin with a head, can be believed; undefined when they are not ours. */
export function headBytesOf (bytes: Buffer): number | undefined {
  if (bytes.length < HEAD_BYTES || bytes.readUInt32LE() !== MARK) return undefined
  return HEAD_BYTES + bytes.readUInt32LE(KEY_BYTES)
}

/** The head of a file of `fileBytes` that begins with `bytes`; undefined when it is not ours or damaged. */
export function readHead (bytes: Buffer, fileBytes: number): Head | undefined {
  const valueAt = valueAtOf(bytes, fileBytes)
  if (valueAt === undefined || valueAt > bytes.length) return undefined
  if (crc32(bytes.subarray(EXPIRES_AT, valueAt)) !== bytes.readUInt32LE(HEAD_CRC)) return undefined
  return { key: bytes.subarray(HEAD_BYTES, valueAt), expiresAt: bytes.readDoubleLE(EXPIRES_AT) }
}

/**
 * The entry under `key` that the bytes of a whole file hold, which are the first `fileBytes` of these; undefined when they
 * are damaged or hold another key.
 */
export function decodeRecord (bytes: Buffer, key: Buffer, fileBytes = bytes.length): StoredEntry | undefined {
  const valueAt = valueAtOf(bytes, fileBytes)
  if (valueAt !== HEAD_BYTES + key.length || !holdsKey(bytes, key)) return undefined
  if (crc32(bytes.subarray(HEAD_CRC, fileBytes)) !== bytes.readUInt32LE(FILE_CRC)) return undefined
  return { value: bytes.subarray(valueAt, fileBytes), expiresAt: bytes.readDoubleLE(EXPIRES_AT) }
}

/** A loop, which for a key of usual length takes less than a call of `compare`. */
function holdsKey (bytes: Buffer, key: Buffer): boolean {
  for (let at = 0; at < key.length; at++) if (bytes[HEAD_BYTES + at] !== key[at]) return false
  return true
}

/** Where the value begins in a file of this size; undefined when the head says that the file has another size. */
function valueAtOf (bytes: Buffer, fileBytes: number): number | undefined {
  const valueAt = headBytesOf(bytes)
  return valueAt !== undefined && valueAt + bytes.readUInt32LE(VALUE_BYTES) === fileBytes ? valueAt : undefined
}
