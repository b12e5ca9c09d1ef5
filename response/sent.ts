// A request's header fields as keys and variants read them: no value is another's.
import type { FastifyRequest } from 'fastify'
import { inspect } from 'node:util'

/** What is read of a request's header fields: as they are now, and as they came. */
export interface RequestFields {
  readonly headers: FastifyRequest['headers']
  readonly raw: { readonly rawHeaders: readonly string[] }
}

export const ABSENT = '-'
/** How `inspect()` leaves nothing out. */
export const WHOLLY = { depth: null, maxArrayLength: null, maxStringLength: null, breakLength: Infinity } as const

/** A part that can't run into the next one: its length stands before it. */
export function part (value: string): string {
  return `${value.length}:${value}`
}

/**
 * The value of a request's field, in `request.headers` or as it came: validation against a schema takes fields out of
 * there, and turns their values into numbers, after a hook may have seen them.
 */
export function sent (request: RequestFields, name: string): string | readonly string[] | undefined {
  const field: unknown = Object.hasOwn(request.headers, name) ? request.headers[name] : name === 'host' ? request.headers[':authority'] : undefined
  if (typeof field === 'string' || (Array.isArray(field) && field.every((line) => typeof line === 'string'))) return field
  const { rawHeaders } = request.raw
  const lines: string[] = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]!.length === name.length && rawHeaders[at]!.toLowerCase() === name) lines.push(rawHeaders[at + 1]!)
  }
  // What a schema made a number of says no more than it did. What a hook put there does.
  if (field !== undefined && (lines.length !== 1 || String(field) !== lines[0])) return [...lines, `${typeof field} ${inspect(field, WHOLLY)}`]
  return lines.length === 0 ? undefined : lines.length === 1 ? lines[0] : lines
}

/** A field's value as a part: no other value has the same. */
export function value (field: string | readonly string[] | undefined): string {
  if (field === undefined) return ABSENT
  return typeof field === 'string' ? part(field) : `+${part(field.map(part).join(''))}`
}
