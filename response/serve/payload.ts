// A stored body as the handler would have given it, stored fields by name, kinds of payloads, and what becomes of one that isn't sent.
import type { FastifyReply } from 'fastify'
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { noop } from '../../registry/maybe-promise.js'
import type { ResponseHead } from '../store/entry.js'

/** The body as the handler would have given it. A copy: what hooks are handed they may change, what is stored nobody may. */
export function payloadOf (head: ResponseHead, body: Buffer, typed: boolean): string | Buffer | Readable | undefined {
  if (typed) return head.text ? body.toString() : Buffer.from(body)
  // Fastify would name a type for text and bytes; the handler's response had none.
  return body.byteLength === 0 ? undefined : Readable.from([Buffer.from(body)])
}

/** Pairs of a name and a value by name; a name that stands there more than once has all its lines. */
export function grouped (fields: readonly string[]): Record<string, string | string[]> {
  const all: Record<string, string | string[]> = Object.create(null)
  for (let at = 0; at < fields.length; at += 2) {
    const [name, line] = [fields[at] as string, fields[at + 1] as string]
    const before = all[name]
    all[name] = before === undefined ? line : [before, line].flat()
  }
  return all
}

/** Destroys a stream of a handler's that is not sent; any other payload is left alone. Nobody hears of it when the source fails later. */
export function discard (payload: unknown): void {
  if (isNodeStream(payload)) {
    payload.on('error', noop)
    // As Fastify ends a stream whose client has left.
    if (typeof payload.destroy === 'function') payload.destroy()
    else if (typeof payload.close === 'function') payload.close(noop)
    else payload.abort?.()
  } else if (isWebStream(payload) && !payload.locked) payload.cancel().catch(noop)
}

/** Which kind of stream a payload is; undefined where it is none, or one that can't be read any more. */
export function streamKind (payload: unknown): 'node' | 'web' | undefined {
  if (isWebStream(payload)) return payload.locked ? undefined : 'web'
  return isNodeStream(payload) && !payload.destroyed ? 'node' : undefined
}

/**
 * Whether the client has left: over HTTP/2, and where another response is sent before, Fastify does not see that and leaves a stream as it
 * is.
 */
export function hasLeft ({ raw, request }: FastifyReply): boolean {
  const { stream } = raw as { stream?: { destroyed: boolean } }
  return raw.destroyed || (stream ?? request.raw.socket).destroyed
}

/** A stream as packages make them: not all of them are Node's own. */
type NodeStream = Readable & { close?: (done: () => void) => void, abort?: () => void }

/** As Fastify tells them. */
function isNodeStream (payload: unknown): payload is NodeStream {
  return typeof (payload as Readable | null | undefined)?.pipe === 'function'
}

function isWebStream (payload: unknown): payload is ReadableStream {
  return typeof (payload as ReadableStream | null | undefined)?.getReader === 'function'
}

/** Applies a fetch Response to the reply, as Fastify does; what remains is its body. Anything else is left as it is. */
export function unpacked (payload: unknown, reply: FastifyReply): unknown {
  if (!isFetchResponse(payload) || payload.bodyUsed) return payload
  reply.code(payload.status)
  for (const [name, value] of payload.headers) reply.header(name, value)
  return payload.body ?? undefined
}

/**
 * What hooks are given of a fetch Response: a Response, which is applied to the reply behind them, as without the cache. `take` needs it
 * applied, and returns what is to be sent. Where that is something else, the reply remains as it has become.
 */
export function asResponse (payload: unknown, reply: FastifyReply, take: (payload: unknown) => unknown): unknown {
  if (!isFetchResponse(payload) || payload.bodyUsed) return take(payload)
  const { statusCode } = reply
  // Fastify adds cookies to the list that is there.
  const before = Object.entries(reply.getHeaders()).map(([name, value]) => [name, Array.isArray(value) ? [...value] : value] as const)
  const given = take(payload)
  const isWhole = (given ?? null) === payload.body
  if (reply.statusCode !== payload.status || !(isWhole || given instanceof ReadableStream)) return given
  reply.raw.statusCode = statusCode
  for (const [name] of payload.headers) reply.removeHeader(name)
  for (const [name, value] of before) if (value !== undefined && !reply.hasHeader(name)) reply.header(name, value)
  return isWhole ? payload : new Response(given as ReadableStream, payload)
}

/** As Fastify tells them. */
function isFetchResponse (payload: unknown): payload is Response {
  return typeof payload === 'object' && Object.prototype.toString.call(payload) === '[object Response]'
}

/** The length that the response is said to have, if it is. */
export function announcedLength (reply: FastifyReply): number | undefined {
  const length = reply.getHeader('content-length')
  return length === undefined ? undefined : Number(length)
}
