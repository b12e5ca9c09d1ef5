// Encodes a request's header fields as parts of keys and variants: as the client sent them, and as they are now if hooks changed them.
import type { FastifyRequest } from 'fastify'
import { inspect } from 'node:util'
import { kArrival, type Arrival } from './arrival.js'
import { encodeField, lengthPrefixed, type FieldLines } from './key-parts.js'

/** A request's header fields, as they are now and as the client sent them. */
export interface RequestFields {
  readonly headers: FastifyRequest['headers']
  readonly [kArrival]: Arrival
}

/** Options that make `inspect()` show everything. */
export const WHOLLY = { depth: null, maxArrayLength: null, maxStringLength: null, breakLength: Infinity } as const

/** Returns a header field as the client sent it. Several lines of the field are joined if Node joins them too. */
export function fieldOf (request: RequestFields, name: string): FieldLines {
  return came(request, name).value
}

/**
 * Encodes a header field as a part of a key. If a hook or a schema changed the meaning of the field, the new value follows the original
 * one, because the handler may have read either. `spelled` is applied to each value before it is encoded.
 */
export function fieldPart (request: RequestFields, name: string, spelled: (value: FieldLines) => FieldLines = (value) => value): string {
  // This is the fast path: most fields have at most one line, and nothing has changed them.
  const line = request[kArrival].line(name)
  if (line !== null && line === present(request, name)) return encodeField(spelled(line))
  const before = came(request, name)
  return before.isUnchanged
    ? encodeField(spelled(before.value))
    : `${encodeField(spelled(before.value))}!${encodeField(spelled(now(request, name)))}`
}

/** Returns the part that describes changes to the target and origin by hooks, or '' if nothing changed. This part follows all others. */
export function changesPart ({ [kArrival]: { changes } }: RequestFields): string {
  return changes === '' ? '' : `|!${lengthPrefixed(changes)}`
}

function came (request: RequestFields, name: string): { readonly value: FieldLines, readonly isUnchanged: boolean } {
  const field = present(request, name)
  const arrival = request[kArrival]
  let lines = arrival.lines(name)
  if (lines.length === 0 && name === 'host') lines = arrival.lines(':authority')
  if (lines.length === 0) return { value: undefined, isUnchanged: field === undefined }
  // Node joins several lines of most fields, but keeps only the first line of some.
  if (lines.length > 1) {
    const isJoined = lines.join(name === 'cookie' ? '; ' : ', ') === field
    return isJoined ? { value: field as string, isUnchanged: true } : { value: lines, isUnchanged: isDeepSame(field, lines) }
  }
  // If a schema converted the text to a number, the meaning is still the same.
  return {
    value: lines[0], isUnchanged: field === lines[0] || (field !== undefined && typeof field !== 'object' && String(field) === lines[0])
  }
}

function present ({ headers }: RequestFields, name: string): unknown {
  return Object.hasOwn(headers, name) ? headers[name] : name === 'host' ? headers[':authority'] : undefined
}

function now (request: RequestFields, name: string): FieldLines {
  const field = present(request, name)
  if (field === undefined || typeof field === 'string') return field
  return [`${typeof field} ${inspect(field, WHOLLY)}`]
}

function isDeepSame (field: unknown, lines: readonly string[]): boolean {
  return Array.isArray(field) && field.length === lines.length && field.every((line, at) => line === lines[at])
}
