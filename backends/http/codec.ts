// What is said between the backend and its service: paths, header fields, the bytes that travel, and what a status means.
import type { StoredEntry } from '../../registry/backend.js'
import { nameOf, storedKey } from '../../registry/codec.js'

/** The instant at which an entry is gone, in epoch milliseconds; on every PUT and every 200 to a GET. */
export const EXPIRES_AT_FIELD = 'cache-expires-at'

/** `<writer>/<number>` on every PUT and DELETE: of one writer's changes of one entry, none may take effect after a higher one. */
export const CHANGE_FIELD = 'cache-change'

/** The status of an entry that is not there (or not any more). */
const isMissing = (status: number): boolean => status === 404 || status === 410

// Behind the value that travels stands the digest of its key, which names it on the wire, so that no mix-up on the way hands out another
// key's bytes.
export const SEAL_BYTES = 32

/** The digest under which the entry of `key` lies at the service. */
export const digestOf = (key: string): string => nameOf(storedKey(key))

/** An answer of the service, its body whole. The body is empty unless the status is 200. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Uint8Array
}

/** The bytes that travel for the value of a key. */
export function sealed (value: Uint8Array, digest: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(value.byteLength + SEAL_BYTES)
  bytes.set(value)
  bytes.write(digest, value.byteLength, 'hex')
  return bytes
}

/** An instant as a header field. What would never end ends in the year 287396. */
export function expiresAtField (expiresAt: number): string {
  return String(Math.min(Math.floor(expiresAt), Number.MAX_SAFE_INTEGER))
}

/**
 * The entry that a GET was answered with, undefined where there is none, or a sentence that tells why the answer is
 * none of this protocol: a service that answers something else is not one that has no entry.
 */
export function entryIn ({ status, headers, body }: Answer, digest: string): StoredEntry | undefined | string {
  if (isMissing(status)) return undefined
  if (status !== 200) return `the service answered ${status}`
  const field = headers[EXPIRES_AT_FIELD]
  const expiresAt = typeof field === 'string' && /^\d{1,16}$/.test(field) ? Number(field) : NaN
  if (!Number.isSafeInteger(expiresAt)) return `the service answered without a valid ${EXPIRES_AT_FIELD}`
  const end = body.byteLength - SEAL_BYTES
  const seal = Buffer.from(body.buffer, body.byteOffset + Math.max(end, 0), Math.min(body.byteLength, SEAL_BYTES))
  if (seal.toString('hex') !== digest) return 'the service answered with something else than was asked for'
  return { value: body.subarray(0, end), expiresAt }
}

/** What the answer to a PUT or DELETE means: done, refused for good, or failed for a reason that may pass. */
export function changeOutcome ({ status }: Answer, isDelete: boolean): 'done' | 'refused' | 'failed' {
  if (status >= 200 && status <= 299) return 'done'
  if (isDelete && isMissing(status)) return 'done'
  return status === 429 || status >= 500 ? 'failed' : 'refused'
}

/** Whether the answer to a PUT is that the value is larger than the service takes. */
export const isTooLarge = ({ status }: Answer): boolean => status === 413

/** Milliseconds that Retry-After asks for (RFC 9110 section 10.2.3); undefined where it doesn't, or not readably. */
export function retryAfterMs ({ headers }: Answer, at: number): number | undefined {
  const field = headers['retry-after']
  if (typeof field !== 'string') return undefined
  if (/^\d{1,10}$/.test(field)) return Number(field) * 1_000
  const date = /^[A-Z][a-z]{2}, /.test(field) ? Date.parse(field) : NaN
  return Number.isNaN(date) ? undefined : Math.max(date - at, 0)
}
