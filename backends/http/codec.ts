// The protocol between the backend and the service: digests of keys, header fields, encoded values, and the meaning of status codes.
import type { StoredEntry } from '../../registry/backend.js'
import { nameOf, storedKey } from '../../registry/codec.js'

/** The header field for the expiry time of an entry, in epoch milliseconds. Every PUT and every 200 response to a GET has it. */
export const EXPIRES_AT_FIELD = 'cache-expires-at'

/**
 * The header field that numbers the changes of a writer, as `<writer>/<number>`. Every PUT and DELETE has it. If a writer has changed an
 * entry, the service must refuse any change of this entry by the same writer that has a lower number.
 */
export const CHANGE_FIELD = 'cache-change'

/** Returns whether this status says that the entry does not exist, or no longer exists. */
const isMissing = (status: number): boolean => status === 404 || status === 410

// The seal is the digest of the key. It follows each value, so that it is noticed if another key's value is returned by mistake.
export const SEAL_BYTES = 32

/** Returns the digest under which the service stores the entry of `key`. */
export const digestOf = (key: string): string => nameOf(storedKey(key))

/** A response from the service, with its whole body. The body is empty unless the status is 200. */
export interface ServiceResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Uint8Array
}

/** Returns the bytes to send for a value: the value, followed by its seal. */
export function sealed (value: Uint8Array, digest: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(value.byteLength + SEAL_BYTES)
  bytes.set(value)
  bytes.write(digest, value.byteLength, 'hex')
  return bytes
}

/** Returns the value of the header field for an expiry time. Infinity becomes a date in the year 287396. */
export function expiresAtField (expiresAt: number): string {
  return String(Math.min(Math.floor(expiresAt), Number.MAX_SAFE_INTEGER))
}

/**
 * Returns the entry in the response to a GET, or undefined if the service has none. If the response does not follow the protocol, returns a
 * string that says why, because such a response does not mean that the entry is missing.
 */
export function entryIn ({ status, headers, body }: ServiceResponse, digest: string): StoredEntry | undefined | string {
  if (isMissing(status)) return undefined
  if (status !== 200) return `the service responded with ${status}`
  const field = headers[EXPIRES_AT_FIELD]
  const expiresAt = typeof field === 'string' && /^\d{1,16}$/.test(field) ? Number(field) : NaN
  if (!Number.isSafeInteger(expiresAt)) return `the service responded without a valid ${EXPIRES_AT_FIELD}`
  const end = body.byteLength - SEAL_BYTES
  const seal = Buffer.from(body.buffer, body.byteOffset + Math.max(end, 0), Math.min(body.byteLength, SEAL_BYTES))
  if (seal.toString('hex') !== digest) return 'the service responded with something other than what was asked for'
  return { value: body.subarray(0, end), expiresAt }
}

/** Returns whether the service did what a PUT or DELETE asked for, refused it, or failed for a reason that may be temporary. */
export function changeOutcome ({ status }: ServiceResponse, isDelete: boolean): 'done' | 'refused' | 'failed' {
  if (status >= 200 && status <= 299) return 'done'
  if (isDelete && isMissing(status)) return 'done'
  return status === 429 || status >= 500 ? 'failed' : 'refused'
}

/** Returns whether the service refused a PUT because the value is too large. */
export const isTooLarge = ({ status }: ServiceResponse): boolean => status === 413

/** Returns the delay in Retry-After (RFC 9110 section 10.2.3), in milliseconds, or undefined if the field is absent or not valid. */
export function retryAfterMs ({ headers }: ServiceResponse, at: number): number | undefined {
  const field = headers['retry-after']
  if (typeof field !== 'string') return undefined
  if (/^\d{1,10}$/.test(field)) return Number(field) * 1_000
  const date = /^[A-Z][a-z]{2}, /.test(field) ? Date.parse(field) : NaN
  return Number.isNaN(date) ? undefined : Math.max(date - at, 0)
}
