// Sending a stored response: through Fastify where other hooks want to see it, else straight to the socket.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { fieldIn, joined, type Fields, type FieldValue } from '../http/field-values.js'
import { ageSeconds, type Entry, type ResponseHead, type SentFields } from '../store/entry.js'
import { withoutLength, type FastifyInternals } from '../fastify/fastify-internals.js'
import { DESCRIBES_CONTENT, without } from '../http/stored-fields.js'
import { grouped, payloadOf } from './payload.js'
import { hasNoContent } from '../http/status-codes.js'
import { union } from '../http/vary.js'

/** What the content of a hit is, its entry says. What a hook has set for another response is not about it. */
const OF_THE_CONTENT: ReadonlySet<string> = new Set([...DESCRIBES_CONTENT, 'content-length'])
/** Cache-Status as it was set on a response, and what stood there before. */
export interface Marked { readonly upstream: string, readonly value: string }

/** Sends `entry` as the response to this request; `status` is the value of the Cache-Status field, `at` the present. */
export class Sender {
  readonly #internals: FastifyInternals
  readonly #statusField: string | undefined

  /** `statusField`: the name under which Cache-Status is sent; undefined: not at all. */
  constructor (internals: FastifyInternals, statusField: string | undefined) {
    this.#internals = internals
    this.#statusField = statusField
  }

  /** Throws what is thrown while the head is written; the reply is then as it was before, for Fastify's error handler. */
  send (request: FastifyRequest, reply: FastifyReply, entry: Entry<ResponseHead>, status: string, at: number): void {
    const { raw } = reply
    // Somebody else has sent a response meanwhile: Fastify says so in the log, and sends no second one.
    if (reply.sent) {
      reply.send()
      return
    }
    const own = this.#internals.fieldsOf(reply)
    const past = raw.getHeaderNames().length > 0 ? raw.getHeaders() : undefined
    const isStraight = this.#goesStraight(request, reply)
    const servesRanges = announcesRanges(request.method, entry.head.status) && (isStraight || this.#internals.servesRanges(request))
    const stored = this.#stored(entry, ageSeconds(entry.head, at), status, servesRanges)
    const fields = this.#together(reply, entry, stored, past === undefined ? own : { ...past, ...own }, isStraight)
    const { statusCode } = raw
    // HTTP/2 has no reason phrase, and warns of who asks for it.
    const statusMessage = request.raw.httpVersionMajor === 1 ? raw.statusMessage : undefined
    this.#internals.useFields(reply, fields)
    try {
      if (isStraight) straight(request, reply, entry, fields)
      else this.#throughHooks(request, reply, entry)
    } catch (err) {
      this.#putBack(reply, fields, { own, past, statusCode, statusMessage })
      throw err
    }
  }

  /**
   * Sets Cache-Status on a response that is not from the cache, behind the members of its upstream (RFC 9211 section 2).
   * Returns what it set, to be given when the same response is marked again.
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

  /** Says that ranges are served, where nobody has said anything of them. */
  announceRanges (reply: FastifyReply): void {
    if (announcesRanges(reply.request.method, reply.statusCode) && !reply.hasHeader('accept-ranges')) reply.header('accept-ranges', 'bytes')
  }

  /** Only where no hook of anybody else would be skipped, and nothing but status, fields and body is to be sent. */
  #goesStraight (request: FastifyRequest, reply: FastifyReply): boolean {
    return this.#internals.contextOf(request)?.onSend === null && request.raw.httpVersionMajor === 1 &&
      !this.#internals.mayHaveTrailers(reply) && !reply.raw.headersSent
  }

  /** The entry's own fields, made anew once a second. */
  #stored (entry: Entry<ResponseHead>, age: number, status: string, servesRanges: boolean): SentFields['fields'] {
    if (entry.sent?.age === age && entry.sent.status === status && entry.sent.servesRanges === servesRanges) return entry.sent.fields
    const { head, body } = entry
    // RFC 9110 section 8.6: as Fastify does it. A 304 of ours has no type to begin with.
    const said = grouped(head.status === 204 ? without(head.fields, ['content-type']) : head.fields)
    if (!hasNoContent(head.status)) said['content-length'] = String(body.byteLength)
    said.age = String(age)
    if (this.#statusField !== undefined) said[this.#statusField] = withMember(joined(said[this.#statusField]), status)
    if (servesRanges) said['accept-ranges'] ??= 'bytes'
    // Spread into an object that V8 copies fast.
    const fields = { ...said }
    entry.sent = { age, status, servesRanges, fields, hasLists: Object.values(fields).some(Array.isArray) }
    return fields
  }

  /** Those fields and those of this request's hooks, in an object of this response's own: hooks may yet set others. */
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
      // This request's own beside those that were stored.
      else if (name === 'set-cookie') fields[name] = [fields[name] as string | string[], value].flat()
    }
    return fields
  }

  #throughHooks (request: FastifyRequest, reply: FastifyReply, { head, body }: Entry<ResponseHead>): void {
    if (request.method === 'HEAD' && hasNoContent(head.status)) this.#internals.addLast(request, withoutLength)
    // RFC 9110 section 15.4.5: it ends with its header section. Fastify makes a 500 of it where trailers are announced.
    if (head.status === 304) this.#internals.dropTrailers(reply)
    const payload = payloadOf(head, body, fieldIn(head.fields, 'content-type') !== undefined)
    reply.code(head.status)
    if (typeof payload === 'string') this.#internals.sendText(reply, payload)
    else reply.send(payload)
  }

  /** An error that is sent in the place of a hit has nothing of the entry: not its status, and not how long it is fresh. */
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

/** What a reply was before a hit was written to it. */
interface Before {
  readonly own: Fields
  readonly past: Fields | undefined
  readonly statusCode: number
  readonly statusMessage: string | undefined
}

/**
 * As Fastify does it: with an object, since who has replaced `writeHead` may not know that it takes lists, and without
 * `hijack()`, after which nobody would handle what is thrown.
 */
function straight (
  request: FastifyRequest, { raw }: FastifyReply, { head, body }: Entry<ResponseHead>, fields: SentFields['fields']
): void {
  raw.writeHead(head.status, fields)
  if (request.method === 'HEAD' || hasNoContent(head.status)) raw.end()
  else raw.end(body)
}

/** RFC 9211 section 2: the last member is that of the cache nearest to the user. Section 3 shows a hit behind a hit. */
function withMember (upstream: string, status: string): string {
  return upstream === '' ? status : `${upstream}, ${status}`
}

/** Whether it is said here and not by the entry that ranges are served: a hook may have said otherwise. */
function isAnnounced (name: string, { fields }: ResponseHead): boolean {
  return name === 'accept-ranges' && fieldIn(fields, name) === undefined
}

/** A copy to which fields can be added: that takes V8 much longer with what the spread of an object is. */
function copied (stored: SentFields['fields'], withLength: boolean): SentFields['fields'] {
  const fields: SentFields['fields'] = {}
  for (const name in stored) if (withLength || name !== 'content-length') fields[name] = stored[name] as string | string[]
  return fields
}

/**
 * Whether a response says that ranges are served (RFC 9110 section 14.3): the whole of what could be cut, a part of it, and
 * the error where no part is there.
 */
export function announcesRanges (method: string, status: number): boolean {
  return (status === 200 || status === 206 || status === 416) && (method === 'GET' || method === 'HEAD')
}
