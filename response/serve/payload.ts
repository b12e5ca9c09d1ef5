// Payloads: the payload of a stored body, kinds of streams, fetch Responses, and what happens to a payload that isn't sent.
import type { FastifyReply } from 'fastify'
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { noop } from '../../registry/maybe-promise.js'
import type { ResponseHead } from '../store/entry.js'

/**
 * The stored body as the handler would have sent it. A copy, because hooks may change it. `typed`: whether the response has a Content-Type.
 */
export function payloadOf (head: ResponseHead, body: Buffer, typed: boolean): string | Buffer | Readable | undefined {
  if (typed) return head.text ? body.toString() : Buffer.from(body)
  // Fastify would add a Content-Type to text and bytes, but the handler's response had none.
  return body.byteLength === 0 ? undefined : Readable.from([Buffer.from(body)])
}

/** Fields by name, from names and values in turn. A name that occurs more than once has an array of its values. */
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
    // As Fastify does if the client has left.
    if (typeof payload.destroy === 'function') payload.destroy()
    else if (typeof payload.close === 'function') payload.close(noop)
    else payload.abort?.()
  } else if (isWebStream(payload) && !payload.locked) payload.cancel().catch(noop)
}

/** Which kind of stream a payload is; undefined if it is no stream, or one that can't be read any more. */
export function streamKind (payload: unknown): 'node' | 'web' | undefined {
  if (isWebStream(payload)) return payload.locked ? undefined : 'web'
  return isNodeStream(payload) && !payload.destroyed ? 'node' : undefined
}

/**
 * Whether the client has left. Over HTTP/2, or while an earlier response is still being sent on the connection, Fastify does not notice
 * that and leaves a stream as it is.
 */
export function hasLeft ({ raw, request }: FastifyReply): boolean {
  const { stream } = raw as { stream?: { destroyed: boolean } }
  return raw.destroyed || (stream ?? request.raw.socket).destroyed
}

/** A stream as packages make it. Not all of them are Node's own. */
type NodeStream = Readable & { close?: (done: () => void) => void, abort?: () => void }

/** The same check as in Fastify. */
function isNodeStream (payload: unknown): payload is NodeStream {
  return typeof (payload as Readable | null | undefined)?.pipe === 'function'
}

function isWebStream (payload: unknown): payload is ReadableStream {
  return typeof (payload as ReadableStream | null | undefined)?.getReader === 'function'
}

/** Applies a fetch Response to the reply, as Fastify does, and returns its body. Returns any other payload as it is. */
export function unpacked (payload: unknown, reply: FastifyReply): unknown {
  if (!isFetchResponse(payload) || payload.bodyUsed) return payload
  reply.code(payload.status)
  for (const [name, value] of payload.headers) reply.header(name, value)
  return payload.body ?? undefined
}

/**
 * `take` applies a fetch Response to the reply, and returns the payload to send. Here that is undone, so that hooks receive a Response, as
 * without the cache. A reply that has become a different response stays as it is.
 */
export function asResponse (payload: unknown, reply: FastifyReply, take: (payload: unknown) => unknown): unknown {
  if (!isFetchResponse(payload) || payload.bodyUsed) return take(payload)
  const { statusCode } = reply
  // Lists are copied, because Fastify adds cookies to the list itself.
  const before = Object.entries(reply.getHeaders()).map(([name, value]) => [name, Array.isArray(value) ? [...value] : value] as const)
  const given = take(payload)
  const isWhole = (given ?? null) === payload.body
  if (reply.statusCode !== payload.status || !(isWhole || given instanceof ReadableStream)) return given
  reply.raw.statusCode = statusCode
  for (const [name] of payload.headers) reply.removeHeader(name)
  for (const [name, value] of before) if (value !== undefined && !reply.hasHeader(name)) reply.header(name, value)
  return isWhole ? payload : new Response(given as ReadableStream, payload)
}

/** The same check as in Fastify. */
function isFetchResponse (payload: unknown): payload is Response {
  return typeof payload === 'object' && Object.prototype.toString.call(payload) === '[object Response]'
}

/** The length in Content-Length; undefined if the reply has no such field. */
export function announcedLength (reply: FastifyReply): number | undefined {
  const length = reply.getHeader('content-length')
  return length === undefined ? undefined : Number(length)
}
