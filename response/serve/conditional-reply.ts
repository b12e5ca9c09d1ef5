// Applies the client's conditions and ranges to a handler's response, if the cache must evaluate them.
import type { FastifyReply } from 'fastify'
import { joined, type Fields } from '../http/field-values.js'
import { isConditional, type Conditions } from '../http/conditional.js'
import { DESCRIBES_CONTENT } from '../http/stored-fields.js'
import { selectRepresentation } from './representation.js'
import { streamKind } from './payload.js'

/** The facts about the request on which `applyConditions` depends. */
export interface ConditionalReply {
  readonly conditions: Conditions
  readonly method: string
  /** Now, in epoch milliseconds. */
  readonly at: number
  /** True if no parts may be cut out, because other hooks may still change the body. */
  readonly wholeOnly: boolean
}

/**
 * Turns the reply into a 304, a 412, a 416 or a part, if the client's conditions require that. Returns the payload to continue with;
 * undefined if there is none.
 */
export function applyConditions (reply: FastifyReply, payload: unknown, delivery: ConditionalReply): unknown {
  const { conditions } = delivery
  if (!isConditional(conditions)) return payload
  // Conditions concern only header fields, so they are applied to a stream too. A range of a stream is ignored, as RFC 9110 section 14.2
  // allows.
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
  // RFC 9112 section 6.2: the new content has a different length, which is known.
  reply.removeHeader('content-length').removeHeader('transfer-encoding').code(given.head.status)
  return given.body.byteLength === 0 ? undefined : Buffer.from(given.body)
}

const NO_BYTES = Buffer.alloc(0)

/** The body as a Buffer. Bytes are not copied, because they are only read. */
function bytesOf (body: string | Uint8Array): Buffer {
  return typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}
