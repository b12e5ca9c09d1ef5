// The bytes of an entry's file: a head of fixed size, the key, the value; no flipped, lost or added byte goes unnoticed.
import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { StoredEntry } from '../../registry/backend.js'

// Little endian, by offset. The checksum of the head covers all behind itself up to the end of the key, so also that of
// the value; the mark is compared, and the file's size must be what the head says.
const MARK = Buffer.from('frc1')
const HEAD_CRC = 4
const EXPIRES_AT = 8
const VALUE_CRC = 16
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
  readonly valueAt: number
  readonly valueBytes: number
  readonly valueCrc: number
}

/** The bytes that stand for `key`; no two strings share them. */
export function storedKey (key: string): Buffer {
  return key.isWellFormed() ? Buffer.from(key) : Buffer.concat([IS_UTF16, Buffer.from(key, 'utf16le')])
}

/** The key for which these bytes stand. */
export function keyOf (stored: Buffer): string {
  return stored[0] === IS_UTF16[0] ? stored.toString('utf16le', 1) : stored.toString()
}

/** The name of the file for a stored key, whatever stands in it: 64 hexadecimal digits. */
export function nameOf (stored: Buffer): string {
  return hash('sha256', stored, 'hex')
}

/** Head and key as they stand before the value. */
export function frameHead (key: Buffer, { value, expiresAt }: StoredEntry): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES + key.length)
  MARK.copy(head)
  head.writeDoubleLE(expiresAt, EXPIRES_AT)
  head.writeUInt32LE(crc32(value), VALUE_CRC)
  head.writeUInt32LE(value.byteLength, VALUE_BYTES)
  head.writeUInt32LE(key.length, KEY_BYTES)
  key.copy(head, HEAD_BYTES)
  head.writeUInt32LE(crc32(head.subarray(EXPIRES_AT)), HEAD_CRC)
  return head
}

/** How many bytes head and key take, as far as `bytes`, which begin with a head, can be believed; undefined when they are not ours. */
export function headBytesOf (bytes: Buffer): number | undefined {
  if (bytes.length < HEAD_BYTES || MARK.compare(bytes, 0, MARK.length) !== 0) return undefined
  return HEAD_BYTES + bytes.readUInt32LE(KEY_BYTES)
}

/** The head of a file of `fileBytes` that begins with `bytes`; undefined when it is not ours or damaged. */
export function readHead (bytes: Buffer, fileBytes: number): Head | undefined {
  const valueAt = headBytesOf(bytes)
  if (valueAt === undefined || valueAt > bytes.length) return undefined
  const valueBytes = bytes.readUInt32LE(VALUE_BYTES)
  if (valueAt + valueBytes !== fileBytes) return undefined
  if (crc32(bytes.subarray(EXPIRES_AT, valueAt)) !== bytes.readUInt32LE(HEAD_CRC)) return undefined
  return {
    key: bytes.subarray(HEAD_BYTES, valueAt),
    expiresAt: bytes.readDoubleLE(EXPIRES_AT),
    valueAt,
    valueBytes,
    valueCrc: bytes.readUInt32LE(VALUE_CRC)
  }
}

/** The entry under `key` that the bytes of a whole file hold; undefined when they are damaged or hold another key. */
export function readFrame (bytes: Buffer, key: Buffer): StoredEntry | undefined {
  const head = readHead(bytes, bytes.length)
  if (head === undefined || !head.key.equals(key)) return undefined
  const value = bytes.subarray(head.valueAt)
  return crc32(value) === head.valueCrc ? { value, expiresAt: head.expiresAt } : undefined
}
