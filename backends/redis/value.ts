// Values as Redis stores them: four bytes by which ours are known, the instant, and the bytes as they are.
import type { StoredEntry } from '../../registry/backend.js'

const MAGIC = 0x46524331
const INSTANT_AT = 4

/** Bytes in front of the value. */
export const HEADER_BYTES = 12

export function pack ({ value, expiresAt }: StoredEntry): Buffer {
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
export function unpack (bytes: Buffer): StoredEntry | undefined {
  const expiresAt = expiryOf(bytes)
  return expiresAt === undefined ? undefined : { value: bytes.subarray(HEADER_BYTES), expiresAt }
}
