// Selects one of the stored responses under a key (RFC 9111 section 4.1).
import { normalized, type Spelling } from '../http/selecting-fields.js'
import { digest } from './key.js'
import { changesPart, fieldPart, type RequestFields } from './request-fields.js'

/**
 * Returns one text for the request's values of the fields that Vary names, and for the changes that hooks made to its target and origin.
 * Two requests have equal texts only if all of these mean the same.
 */
export function selection (names: readonly string[], request: RequestFields, spelling: Spelling): string {
  return names.map((name) => fieldPart(request, name, (value) => normalized(name, value, spelling))).join('|') + changesPart(request)
}

/** Returns the identifier of the variant that this request selects. */
export function variantOf (names: readonly string[], request: RequestFields, spelling: Spelling = 'exact'): string {
  return digest(selection(names, request, spelling))
}
