// Applies the client's conditions and ranges to a reply, if the cache must evaluate them, and announces ranges.
import type { FastifyReply } from 'fastify'
import { joined, type Fields } from '../http/field-values.js'
import { isConditional, type Conditions } from '../http/conditional.js'
import { announcesRanges } from '../http/ranges.js'
import { DESCRIBES_CONTENT } from '../http/stored-fields.js'
import { selectRepresentation } from './representation.js'
import { streamKind } from './payload.js'

/** The facts about the request on which `applyConditions` depends. */
export interface ConditionalReply {
  readonly conditions: Conditions
  readonly method: string
  /** The current time, in epoch milliseconds. */
  readonly at: number
  /** Whether the body must be sent whole, because other hooks may still change it. */
  readonly wholeOnly: boolean
}

/**
 * Turns the reply into a 304, 412 or 416, or into a partial response, if the client's conditions require that. Returns the payload to pass
 * on, or undefined if there is none.
 */
export function applyConditions (reply: FastifyReply, payload: unknown, delivery: ConditionalReply): unknown {
  const { conditions } = delivery
  if (!isConditional(conditions)) return payload
  // Conditions concern only header fields, so they are applied to a stream too. If a range of a stream is requested, the range is ignored,
  // as RFC 9110 section 14.2 allows.
  const isStream = streamKind(payload) !== undefined
  const body = payload === undefined || payload === null || isStream ? '' : payload
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) return payload
  const fields = Object.entries(reply.getHeaders() as Fields).flatMap(([name, value]) => value === undefined ? [] : [name, joined(value)])
  // Node adds a missing Date only later, when it sends the response. But without a Date, If-Range with a date is never true (RFC 9110
  // section 8.8.2.2).
  if (!reply.hasHeader('date')) fields.push('date', new Date(delivery.at).toUTCString())
  const head = {
    kind: 'response', key: '', status: reply.statusCode, fields, storedAt: delivery.at, freshUntil: delivery.at, ageMs: 0, text: true
  } as const
  const whole = { head, body: conditions.range === undefined ? NO_BYTES : bytesOf(body) }
  const given = selectRepresentation(whole, conditions, isStream ? { ...delivery, wholeOnly: true } : delivery)
  if (given.head.status === head.status) return payload
  const left = new Map<string, string>()
  for (let at = 0; at < given.head.fields.length; at += 2) left.set(given.head.fields[at] as string, given.head.fields[at + 1] as string)
  for (const name of Object.keys(reply.getHeaders())) if (!left.has(name)) reply.removeHeader(name)
  for (const name of DESCRIBES_CONTENT) if (left.has(name)) reply.header(name, left.get(name))
  // The new content has a different length, so Content-Length is wrong. That length is known, so Transfer-Encoding is not needed (RFC 9112
  // section 6.2).
  reply.removeHeader('content-length').removeHeader('transfer-encoding').code(given.head.status)
  return given.body.byteLength === 0 ? undefined : Buffer.from(given.body)
}

/** Adds Accept-Ranges, unless the reply has that field. */
export function announceRanges (reply: FastifyReply): void {
  if (announcesRanges(reply.request.method, reply.statusCode) && !reply.hasHeader('accept-ranges')) reply.header('accept-ranges', 'bytes')
}

const NO_BYTES = Buffer.alloc(0)

/** Returns the body as a Buffer. Bytes are not copied, because they are only read. */
function bytesOf (body: string | Uint8Array): Buffer {
  return typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}
