// Sends a stored response: through Fastify if there are onSend hooks to run, otherwise straight to the socket.
import type { Http2Stream } from 'node:http2'
import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { fieldIn, joined, type Fields, type FieldValue } from '../http/field-values.js'
import { ageSeconds, type Entry, type ResponseHead, type SentFields } from '../store/entry.js'
import type { FastifyInternals, RouteContext } from '../fastify/fastify-internals.js'
import { announcesRanges } from '../http/ranges.js'
import { DESCRIBES_CONTENT, without } from '../http/stored-fields.js'
import { completingHits, kHit, type HookedHit } from './hooked-hit.js'
import { PassedBody } from './passed-body.js'
import { grouped, payloadOf } from './payload.js'
import { hasNoContent } from '../http/status-codes.js'
import { union } from '../http/vary.js'

/** Fields that describe content. On a hit, they come only from the entry, because a hook that sets one doesn't know the entry's content. */
const OF_THE_CONTENT: ReadonlySet<string> = new Set([...DESCRIBES_CONTENT, 'content-length'])

/** How a stored response is sent. */
export interface SendOptions {
  /** This cache's member of Cache-Status. */
  readonly status: string
  /** The current time, in epoch milliseconds. */
  readonly at: number
  /** The whole stored response, if its ETag and ranges depend on whether hooks leave its body alone; see HookedHit. */
  readonly hooked?: Pick<HookedHit, 'entry' | 'onChanged'> | undefined
  /** The body, if the response is still being produced. The entry then has none. */
  readonly stream?: StreamedPayload | undefined
}

/** The body of a response that is still being produced, and its length if that is known. */
export interface StreamedPayload { readonly payload: Readable, readonly lengthBytes: number | undefined }

/** A value of Cache-Status that was set on a response, and the value that the field had before. */
export interface Marked { readonly upstream: string, readonly value: string }

/** Sends stored responses, and sets Cache-Status on other responses. */
export class Sender {
  readonly #internals: FastifyInternals
  readonly #statusField: string | undefined
  /** For each context of a route, a copy whose hooks also complete hits. */
  readonly #completing = new WeakMap<RouteContext, RouteContext>()

  /** `statusField` is the name of the field Cache-Status, or undefined if that field is not sent. */
  constructor (internals: FastifyInternals, statusField: string | undefined) {
    this.#internals = internals
    this.#statusField = statusField
  }

  /**
   * Sends `entry`, with `status` in Cache-Status. If writing the head throws an error, restores the reply for Fastify's error handler and
   * throws the same error.
   */
  send (
    request: FastifyRequest, reply: FastifyReply, entry: Entry<ResponseHead>, { status, at, hooked, stream }: SendOptions
  ): void {
    const { raw } = reply
    // If other code has already sent a response, Fastify logs that, and sends no second response.
    if (reply.sent) {
      reply.send()
      return
    }
    const own = this.#internals.fieldsOf(reply)
    const past = raw.getHeaderNames().length > 0 ? raw.getHeaders() : undefined
    const isStraight = stream === undefined && this.#goesStraight(request, reply)
    const servesRanges = announcesRanges(request.method, entry.head.status) && !this.#internals.isHooked(request)
    const stored = this.#stored(entry, ageSeconds(entry.head, at), status, servesRanges)
    const fields = this.#together(reply, entry, stored, past === undefined ? own : { ...past, ...own }, isStraight)
    const { statusCode } = raw
    // HTTP/2 has no reason phrase, and Node warns if `statusMessage` is read.
    const statusMessage = request.raw.httpVersionMajor === 1 ? raw.statusMessage : undefined
    this.#internals.useFields(reply, fields)
    try {
      if (isStraight) straight(request, reply, entry, fields)
      else if (stream !== undefined) sendStream(reply.code(entry.head.status), stream)
      else this.#throughHooks(request, reply, entry, hooked === undefined ? undefined : { ...hooked, conditions: request.headers, at })
    } catch (err) {
      this.#putBack(reply, fields, { own, past, statusCode, statusMessage })
      throw err
    }
  }

  /**
   * Adds Cache-Status to a response that is not from the cache, after the members of upstream caches (RFC 9211 section 2). Returns a value
   * that the caller passes as `last` if it sets Cache-Status on the same response again.
   */
  setCacheStatus (reply: FastifyReply, status: string, last?: Marked): Marked | undefined {
    if (this.#statusField === undefined) return undefined
    const there = reply.getHeader(this.#statusField) as FieldValue
    const present = there === undefined ? '' : joined(there)
    const upstream = present === last?.value ? last.upstream : present
    const value = withMember(upstream, status)
    reply.header(this.#statusField, value)
    return { upstream, value }
  }

  /**
   * Returns whether the response can be sent straight to the socket, because there is no onSend hook to run, and nothing to send except
   * status, fields and body.
   */
  #goesStraight (request: FastifyRequest, reply: FastifyReply): boolean {
    return !this.#internals.isHooked(request) && request.raw.httpVersionMajor === 1 &&
      !this.#internals.mayHaveTrailers(reply) && !reply.raw.headersSent
  }

  /** Returns the fields with which the entry is sent. The same object is returned until the age or Cache-Status changes. */
  #stored (entry: Entry<ResponseHead>, age: number, status: string, servesRanges: boolean): SentFields['fields'] {
    if (entry.sent?.age === age && entry.sent.status === status && entry.sent.servesRanges === servesRanges) return entry.sent.fields
    const { head, body } = entry
    // RFC 9110 section 8.6: a response without content has no Content-Length. As in Fastify, a 204 has no Content-Type either. The fields
    // of a 304 don't include Content-Type.
    const said = grouped(head.status === 204 ? without(head.fields, ['content-type']) : head.fields)
    if (!hasNoContent(head.status)) said['content-length'] = String(body.byteLength)
    said.age = String(age)
    if (this.#statusField !== undefined) said[this.#statusField] = withMember(joined(said[this.#statusField]), status)
    if (servesRanges) said['accept-ranges'] ??= 'bytes'
    // The object is created by spreading, because V8 then copies it fast.
    const fields = { ...said }
    entry.sent = { age, status, servesRanges, fields, hasLists: Object.values(fields).some(Array.isArray) }
    return fields
  }

  /** Returns the stored fields together with those of this request's hooks. The object is new, because hooks may still set fields. */
  #together (
    { raw }: FastifyReply, { head, sent }: Entry<ResponseHead>, stored: SentFields['fields'], present: Fields, isStraight: boolean
  ): SentFields['fields'] {
    const fields = isStraight && Object.keys(present).length === 0 ? { ...stored } : copied(stored, isStraight)
    if (sent?.hasLists === true) for (const name in fields) if (Array.isArray(fields[name])) fields[name] = [...fields[name] as string[]]
    for (const name in present) {
      const value = present[name] as string | string[] | undefined
      if (value === undefined) continue
      if (OF_THE_CONTENT.has(name) || head.removed?.includes(name)) raw.headersSent || raw.removeHeader(name)
      else if (!Object.hasOwn(fields, name) || isAnnounced(name, head)) fields[name] = value
      else if (name === 'vary') fields[name] = union(joined(value), joined(fields[name]))
      // Cookies that hooks set for this request are added to the stored ones.
      else if (name === 'set-cookie') fields[name] = [fields[name] as string | string[], value].flat()
    }
    return fields
  }

  #throughHooks (
    request: FastifyRequest, reply: FastifyReply, { head, body }: Entry<ResponseHead>, hit: Omit<HookedHit, 'passed'> | undefined
  ): void {
    // RFC 9110 section 15.4.5: a 304 ends with its header section. If trailers are announced, Fastify turns it into a 500.
    if (head.status === 304) this.#internals.dropTrailers(reply)
    const payload = payloadOf(head, body, fieldIn(head.fields, 'content-type') !== undefined)
    reply.code(head.status)
    if (this.#internals.isHooked(request) && this.#internals.rehook(request, this.#completing, completingHits) && hit !== undefined) {
      (reply as FastifyReply & { [kHit]: HookedHit | null })[kHit] = { ...hit, passed: new PassedBody(reply, payload) }
    }
    if (typeof payload === 'string') this.#internals.sendText(reply, payload)
    else reply.send(payload)
  }

  /** Restores the reply, so that an error that is sent instead of a hit has neither the entry's status nor its freshness. */
  #putBack (reply: FastifyReply, fields: SentFields['fields'], { own, past, statusCode, statusMessage }: Before): void {
    const { raw } = reply
    this.#internals.useFields(reply, own as SentFields['fields'])
    if (raw.headersSent) return
    for (const name in fields) raw.removeHeader(name)
    for (const name in past) raw.setHeader(name, past[name] as string)
    raw.statusCode = statusCode
    if (reply.request.raw.httpVersionMajor === 1) raw.statusMessage = statusMessage as string
  }
}

/** The state of a reply before a hit was written to it. */
interface Before {
  readonly own: Fields
  readonly past: Fields | undefined
  readonly statusCode: number
  readonly statusMessage: string | undefined
}

/**
 * Sends the response as Fastify would. Passes fields as an object, because a `writeHead` that other code has replaced may not accept a
 * list. Does not call `reply.hijack()`, because after that call, nothing would handle an error.
 */
function straight (
  request: FastifyRequest, { raw }: FastifyReply, { head, body }: Entry<ResponseHead>, fields: SentFields['fields']
): void {
  raw.writeHead(head.status, fields)
  if (request.method === 'HEAD' || hasNoContent(head.status)) raw.end()
  else raw.end(body)
}

/** INTERNAL_ERROR of RFC 9113 section 7. */
const INTERNAL_ERROR = 2

/** Sends a stream. If it fails, Fastify ends a response over HTTP/2 as if it were whole, so that response is reset first. */
function sendStream (reply: FastifyReply, { payload, lengthBytes }: StreamedPayload): void {
  if (lengthBytes === undefined) reply.removeHeader('content-length')
  else reply.header('content-length', lengthBytes)
  const { stream } = reply.raw as { stream?: Http2Stream }
  if (stream !== undefined) payload.once('error', () => stream.close(INTERNAL_ERROR))
  reply.send(payload)
}

/** Adds this cache's member at the end, because the last member is from the cache nearest to the user (RFC 9211 sections 2 and 3). */
function withMember (upstream: string, status: string): string {
  return upstream === '' ? status : `${upstream}, ${status}`
}

/**
 * Returns whether the field is Accept-Ranges and the entry doesn't have it. If a hook has set the field too, the hook's value then replaces
 * the one that this cache adds.
 */
function isAnnounced (name: string, { fields }: ResponseHead): boolean {
  return name === 'accept-ranges' && fieldIn(fields, name) === undefined
}

/** Copies the fields one by one. V8 adds fields to such a copy fast, but very slowly to an object that was created by spreading. */
function copied (stored: SentFields['fields'], withLength: boolean): SentFields['fields'] {
  const fields: SentFields['fields'] = {}
  for (const name in stored) if (withLength || name !== 'content-length') fields[name] = stored[name] as string | string[]
  return fields
}
