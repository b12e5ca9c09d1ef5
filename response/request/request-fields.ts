// A request's header fields as keys and variants read them: as they came, and as hooks left them. No value is another's.
import type { FastifyRequest } from 'fastify'
import { inspect } from 'node:util'
import { kArrival, type Arrival } from './arrival.js'
import { encodeField, lengthPrefixed, type FieldLines } from './key-parts.js'

/** What is read of a request's header fields: as they are now, and as they came. */
export interface RequestFields {
  readonly headers: FastifyRequest['headers']
  readonly [kArrival]: Arrival
}

/** How `inspect()` leaves nothing out. */
export const WHOLLY = { depth: null, maxArrayLength: null, maxStringLength: null, breakLength: Infinity } as const

/** A request's field as it came; of several lines that Node joins, the joined ones. */
export function fieldOf (request: RequestFields, name: string): FieldLines {
  return came(request, name).value
}

/**
 * A field as a part: no other value has the same. What a hook or a schema has made of it stands behind what came, where that says
 * something else: the handler may have read either. `spelled` is applied to both.
 */
export function fieldPart (request: RequestFields, name: string, spelled: (value: FieldLines) => FieldLines = (value) => value): string {
  // Mostly one line, or none, that nobody has changed.
  const line = request[kArrival].line(name)
  if (line !== null && line === present(request, name)) return encodeField(spelled(line))
  const before = came(request, name)
  return before.isUnchanged
    ? encodeField(spelled(before.value))
    : `${encodeField(spelled(before.value))}!${encodeField(spelled(now(request, name)))}`
}

/** What hooks have made of the request's target and origin, as a part behind others; nothing where that is what came. */
export function changesPart ({ [kArrival]: { changes } }: RequestFields): string {
  return changes === '' ? '' : `|!${lengthPrefixed(changes)}`
}

function came (request: RequestFields, name: string): { readonly value: FieldLines, readonly isUnchanged: boolean } {
  const field = present(request, name)
  const arrival = request[kArrival]
  let lines = arrival.lines(name)
  if (lines.length === 0 && name === 'host') lines = arrival.lines(':authority')
  if (lines.length === 0) return { value: undefined, isUnchanged: field === undefined }
  // Of some fields Node hands out the first line alone.
  if (lines.length > 1) {
    const isJoined = lines.join(name === 'cookie' ? '; ' : ', ') === field
    return isJoined ? { value: field as string, isUnchanged: true } : { value: lines, isUnchanged: isDeepSame(field, lines) }
  }
  // What a schema made a number of says no more than it did.
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
