// What a client is given of a handler's response whose conditions are the cache's to evaluate.
import type { FastifyReply } from 'fastify'
import { joined, type Fields } from '../http/field-values.js'
import { isConditional, type Conditions } from '../http/conditional.js'
import { DESCRIBES_CONTENT } from '../http/stored-fields.js'
import { selectRepresentation } from './representation.js'
import { streamKind } from './payload.js'

/** What is to be known of the request. */
export interface ConditionalReply {
  readonly conditions: Conditions
  readonly method: string
  /** Now, in epoch milliseconds. */
  readonly at: number
  /** No parts, since other hooks may yet change the body. */
  readonly wholeOnly: boolean
}

/**
 * Makes the reply a 304, a part or a condition that failed, where the client's conditions ask for that. Returns the payload
 * to go on with; undefined where there is to be none.
 */
export function applyConditions (reply: FastifyReply, payload: unknown, delivery: ConditionalReply): unknown {
  const { conditions } = delivery
  if (!isConditional(conditions)) return payload
  // Conditions are about header fields alone. A range of a stream is ignored, as RFC 9110 section 14.2 allows.
  const isStream = streamKind(payload) !== undefined
  const body = payload === undefined || payload === null || isStream ? '' : payload
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) return payload
  const fields = Object.entries(reply.getHeaders() as Fields).flatMap(([name, value]) => value === undefined ? [] : [name, joined(value)])
  // Node dates what is not dated when it sends it. Without a Date no If-Range of a date holds (RFC 9110 section 8.8.2.2).
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
  // RFC 9112 section 6.2: what is cut has another length, which is known.
  reply.removeHeader('content-length').removeHeader('transfer-encoding').code(given.head.status)
  return given.body.byteLength === 0 ? undefined : Buffer.from(given.body)
}

const NO_BYTES = Buffer.alloc(0)

/** No copy: parts of it are only looked at. */
function bytesOf (body: string | Uint8Array): Buffer {
  return typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}
