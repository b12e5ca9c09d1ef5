// The protocol of backend and service: digests of keys, header fields, encoded values, and the meaning of status codes.
import type { StoredEntry } from '../../registry/backend.js'
import { nameOf, storedKey } from '../../registry/codec.js'

/** When an entry expires, in epoch milliseconds. On every PUT, and every 200 response to a GET. */
export const EXPIRES_AT_FIELD = 'cache-expires-at'

/** `<writer>/<number>` on every PUT and DELETE. A writer's change of an entry must not take effect after one with a higher number. */
export const CHANGE_FIELD = 'cache-change'

/** The status for an entry that does not exist, or no longer. */
const isMissing = (status: number): boolean => status === 404 || status === 410

// The digest of the key is sent after each value, so that a mix-up on the way can't return another key's bytes.
export const SEAL_BYTES = 32

/** The digest under which the service stores the entry of `key`. */
export const digestOf = (key: string): string => nameOf(storedKey(key))

/** A response of the service, with its whole body. The body is empty unless the status is 200. */
export interface ServiceResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Uint8Array
}

/** A value as it is sent. */
export function sealed (value: Uint8Array, digest: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(value.byteLength + SEAL_BYTES)
  bytes.set(value)
  bytes.write(digest, value.byteLength, 'hex')
  return bytes
}

/** An expiry as a header field. Without an end it becomes the year 287396. */
export function expiresAtField (expiresAt: number): string {
  return String(Math.min(Math.floor(expiresAt), Number.MAX_SAFE_INTEGER))
}

/**
 * The entry in the response to a GET; undefined if there is none. A string says why the response does not follow the protocol, which is
 * not the same as a missing entry.
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

/** What the response to a PUT or DELETE means: done, refused, or failed for a reason that may be temporary. */
export function changeOutcome ({ status }: ServiceResponse, isDelete: boolean): 'done' | 'refused' | 'failed' {
  if (status >= 200 && status <= 299) return 'done'
  if (isDelete && isMissing(status)) return 'done'
  return status === 429 || status >= 500 ? 'failed' : 'refused'
}

/** Whether the service responded to a PUT that the value is too large. */
export const isTooLarge = ({ status }: ServiceResponse): boolean => status === 413

/** The milliseconds in Retry-After (RFC 9110 section 10.2.3); undefined if it is absent or not valid. */
export function retryAfterMs ({ headers }: ServiceResponse, at: number): number | undefined {
  const field = headers['retry-after']
  if (typeof field !== 'string') return undefined
  if (/^\d{1,10}$/.test(field)) return Number(field) * 1_000
  const date = /^[A-Z][a-z]{2}, /.test(field) ? Date.parse(field) : NaN
  return Number.isNaN(date) ? undefined : Math.max(date - at, 0)
}
