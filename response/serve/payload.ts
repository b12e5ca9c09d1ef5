// Payloads: turns stored bodies into payloads, recognizes streams, applies fetch Responses, and discards payloads that aren't sent.
import type { FastifyReply } from 'fastify'
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { noop } from '../../registry/maybe-promise.js'
import type { ResponseHead } from '../store/entry.js'

/**
 * Returns a copy of the stored body, because hooks may change the payload. The copy has the form in which the handler sent the body.
 * `typed` says whether the response has a Content-Type.
 */
export function payloadOf (head: ResponseHead, body: Buffer, typed: boolean): string | Buffer | Readable | undefined {
  if (typed) return head.text ? body.toString() : Buffer.from(body)
  // A stream is returned, because Fastify would add a Content-Type to text or bytes, and the handler's response had none.
  return body.byteLength === 0 ? undefined : Readable.from([Buffer.from(body)])
}

/** Turns a list of alternating names and values into an object. A name that occurs more than once gets an array of its values. */
export function grouped (fields: readonly string[]): Record<string, string | string[]> {
  const all: Record<string, string | string[]> = Object.create(null)
  for (let at = 0; at < fields.length; at += 2) {
    const [name, line] = [fields[at] as string, fields[at + 1] as string]
    const before = all[name]
    all[name] = before === undefined ? line : [before, line].flat()
  }
  return all
}

/** Destroys a handler's stream that is not sent, and ignores its later errors. Leaves any other payload alone. */
export function discard (payload: unknown): void {
  if (isNodeStream(payload)) {
    payload.on('error', noop)
    // Fastify does the same with a stream if the client has left.
    if (typeof payload.destroy === 'function') payload.destroy()
    else if (typeof payload.close === 'function') payload.close(noop)
    else payload.abort?.()
  } else if (isWebStream(payload) && !payload.locked) payload.cancel().catch(noop)
}

/** Returns the kind of stream that a payload is, or undefined if it is not a stream or can no longer be read. */
export function streamKind (payload: unknown): 'node' | 'web' | undefined {
  if (isWebStream(payload)) return payload.locked ? undefined : 'web'
  return isNodeStream(payload) && !payload.destroyed ? 'node' : undefined
}

/**
 * Returns whether the client has left. Over HTTP/2, or while an earlier response is still being sent on the connection, Fastify does not
 * notice that the client has left, and does not end the stream.
 */
export function hasLeft ({ raw, request }: FastifyReply): boolean {
  const { stream } = raw as { stream?: { destroyed: boolean } }
  return raw.destroyed || (stream ?? request.raw.socket).destroyed
}

/** A stream from any package. It need not be one of Node's own streams. */
type NodeStream = Readable & { close?: (done: () => void) => void, abort?: () => void }

/** Makes the same check as Fastify. */
function isNodeStream (payload: unknown): payload is NodeStream {
  return typeof (payload as Readable | null | undefined)?.pipe === 'function'
}

function isWebStream (payload: unknown): payload is ReadableStream {
  return typeof (payload as ReadableStream | null | undefined)?.getReader === 'function'
}

/** Applies a fetch Response to the reply, as Fastify does, and returns its body. Returns any other payload unchanged. */
export function unpacked (payload: unknown, reply: FastifyReply): unknown {
  if (!isFetchResponse(payload) || payload.bodyUsed) return payload
  reply.code(payload.status)
  for (const [name, value] of payload.headers) reply.header(name, value)
  return payload.body ?? undefined
}

/**
 * Calls `take`, which applies a fetch Response to the reply and returns the payload to send. Then restores the reply and returns a
 * Response, because hooks would receive a Response without the cache too. If `take` has turned the reply into a different response, the
 * reply is not restored.
 */
export function asResponse (payload: unknown, reply: FastifyReply, take: (payload: unknown) => unknown): unknown {
  if (!isFetchResponse(payload) || payload.bodyUsed) return take(payload)
  const { statusCode } = reply
  // Lists are copied, because Fastify adds cookies to the existing list.
  const before = Object.entries(reply.getHeaders()).map(([name, value]) => [name, Array.isArray(value) ? [...value] : value] as const)
  const given = take(payload)
  const isWhole = (given ?? null) === payload.body
  if (reply.statusCode !== payload.status || !(isWhole || given instanceof ReadableStream)) return given
  reply.raw.statusCode = statusCode
  for (const [name] of payload.headers) reply.removeHeader(name)
  for (const [name, value] of before) if (value !== undefined && !reply.hasHeader(name)) reply.header(name, value)
  return isWhole ? payload : new Response(given as ReadableStream, payload)
}

/** Makes the same check as Fastify. */
function isFetchResponse (payload: unknown): payload is Response {
  return typeof payload === 'object' && Object.prototype.toString.call(payload) === '[object Response]'
}

/** Returns the length that Content-Length states, or undefined if the reply has no such field. */
export function announcedLength (reply: FastifyReply): number | undefined {
  const length = reply.getHeader('content-length')
  return length === undefined ? undefined : Number(length)
}
