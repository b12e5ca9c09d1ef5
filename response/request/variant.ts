// Which of the stored responses of one key a request selects (RFC 9111 section 4.1).
import { normalized, type Spelling } from '../http/selecting-fields.js'
import { digest } from './key.js'
import { changesPart, fieldPart, type RequestFields } from './request-fields.js'

/**
 * The fields that Vary names, as this request has them, and what hooks have made of its target: the same text exactly when they all
 * mean the same.
 */
export function selection (names: readonly string[], request: RequestFields, spelling: Spelling): string {
  return names.map((name) => fieldPart(request, name, (value) => normalized(name, value, spelling))).join('|') + changesPart(request)
}

/** Which variant this request asks for. */
export function variantOf (names: readonly string[], request: RequestFields, spelling: Spelling = 'exact'): string {
  return digest(selection(names, request, spelling))
}
