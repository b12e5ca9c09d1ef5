// Selects one of the stored responses under a key (RFC 9111 section 4.1).
import { normalized, type Spelling } from '../http/selecting-fields.js'
import { digest } from './key.js'
import { changesPart, fieldPart, type RequestFields } from './request-fields.js'

/**
 * The request's values of the fields that Vary names, and the changes that hooks made to its target. Requests have equal texts only if all
 * of this means the same.
 */
export function selection (names: readonly string[], request: RequestFields, spelling: Spelling): string {
  return names.map((name) => fieldPart(request, name, (value) => normalized(name, value, spelling))).join('|') + changesPart(request)
}

/** The variant that this request selects. */
export function variantOf (names: readonly string[], request: RequestFields, spelling: Spelling = 'exact'): string {
  return digest(selection(names, request, spelling))
}
