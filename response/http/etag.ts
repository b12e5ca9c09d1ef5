// An ETag for an answer whose handler names none (RFC 9110 section 8.8.3).
import { hash } from 'node:crypto'

const CHARACTERS = 27

/** A strong entity tag: the same exactly for the same bytes. */
export function etagOf (body: Buffer | string): string {
  return `"${hash('sha256', body, 'base64url').slice(0, CHARACTERS)}"`
}
