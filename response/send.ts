// Sending a stored answer: through Fastify where other hooks want to see it, else straight to the socket.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { joined } from './http/cache-control.js'
import { ageSeconds, type Entry, type ResponseHead, type SentFields } from './store/entry.js'
import { announce } from './fill/deliver.js'
import type { FastifyInternals } from './fastify-internals.js'
import { isField, without } from './http/fields.js'
import { announcesRanges } from './http/ranges.js'
import { grouped, payloadOf } from './payload.js'
import { hasNoContent } from './http/statuses.js'
import { union } from './http/vary.js'

/** Cache-Status as it was set on a response, and what stood there before. */
export interface Marked { readonly upstream: string, readonly value: string }

/** Sends `entry` as the answer to this request; `status` is the value of the Cache-Status field, `at` the present. */
export class Sender {
  readonly #internals: FastifyInternals
  readonly #statusField: string | undefined

  /** `statusField`: the name under which Cache-Status is sent; undefined: not at all. */
  constructor (internals: FastifyInternals, statusField: string | undefined) {
    this.#internals = internals
    this.#statusField = statusField
  }

  send (request: FastifyRequest, reply: FastifyReply, entry: Entry<ResponseHead>, status: string, at: number): void {
    const age = ageSeconds(entry.head, at)
    const fields = this.#goesStraight(request, reply) ? this.#together(reply, entry, age, status) : undefined
    if (fields !== undefined) straight(request, reply, entry, fields)
    else this.#throughHooks(reply, entry, String(age), status)
  }

  /**
   * Sets Cache-Status on a response that is not from the cache, behind the members of its upstream (RFC 9211 section 2).
   * Returns what it set, to be given when the same response is marked again.
   */
  mark (reply: FastifyReply, status: string, last?: Marked): Marked | undefined {
    if (this.#statusField === undefined) return undefined
    const present = joined(reply.getHeader(this.#statusField) as string | undefined)
    const upstream = present === last?.value ? last.upstream : present
    const value = withMember(upstream, status)
    reply.header(this.#statusField, value)
    return { upstream, value }
  }

  /** Only where no hook of anybody else would be skipped, and nothing but status, fields and body is to be sent. */
  #goesStraight (request: FastifyRequest, reply: FastifyReply): boolean {
    return this.#internals.contextOf(request)?.onSend === null && request.raw.httpVersionMajor === 1 &&
      !this.#internals.mayHaveTrailers(reply) && !reply.sent && !reply.raw.headersSent
  }

  /** The entry's fields and those of this request's hooks; undefined where Node would refuse one, which Fastify knows to answer. */
  #together (reply: FastifyReply, entry: Entry<ResponseHead>, age: number, status: string): SentFields['fields'] | undefined {
    if (this.#internals.mayHaveFields(reply)) return this.#withPresent(reply, entry, age, status)
    if (entry.sent?.age !== age || entry.sent.status !== status) entry.sent = { age, status, fields: forNode(announced(this.#own(entry, age, status), reply, entry)) }
    return entry.sent.fields
  }

  #own ({ head, body }: Entry<ResponseHead>, age: number, status: string): string[] {
    // RFC 9110 section 8.6: as Fastify does it. A 304 of ours has no type to begin with.
    const said = head.status === 204 ? without(head.fields, ['content-type']) : head.fields
    const fields = hasNoContent(head.status) ? [...said, 'age', String(age)] : [...head.fields, 'content-length', String(body.byteLength), 'age', String(age)]
    if (this.#statusField !== undefined) addMember(fields, this.#statusField, status)
    return fields
  }

  #withPresent (reply: FastifyReply, entry: Entry<ResponseHead>, age: number, status: string): SentFields['fields'] | undefined {
    const { head } = entry
    const fields = this.#own(entry, age, status)
    const present = reply.getHeaders()
    let areApart = false
    for (const name in present) {
      const value = present[name]
      if (value === undefined || head.removed?.includes(name)) continue
      const lines = Array.isArray(value) ? value.map(String) : [String(value)]
      if (!lines.every((line) => isField(name, line))) return undefined
      if (name === 'vary') addVary(fields, joined(lines))
      else if (placeOf(fields, name) === -1) for (const line of lines) fields.push(name, line)
      else if (name === 'set-cookie') {
        // This request's own beside those that were stored.
        for (const line of lines) fields.push(name, line)
        areApart = true
      }
    }
    announced(fields, reply, entry)
    return areApart ? grouped(fields) : forNode(fields)
  }

  #throughHooks (reply: FastifyReply, { head, body }: Entry<ResponseHead>, age: string, status: string): void {
    const vary = joined(reply.getHeader('vary') as string | undefined)
    for (const name of head.removed ?? []) reply.removeHeader(name)
    const seen = grouped(head.fields)
    for (const name in seen) reply.header(name, name === 'vary' ? union(vary, joined(seen[name])) : seen[name])
    reply.header('age', age)
    if (this.#statusField !== undefined) reply.header(this.#statusField, withMember(joined(seen[this.#statusField]), status))
    reply.code(head.status)
    if (this.#internals.servesRanges(reply.request)) announce(reply)
    reply.send(payloadOf(head, body, seen['content-type'] !== undefined))
  }
}

function straight (request: FastifyRequest, reply: FastifyReply, { head, body }: Entry<ResponseHead>, fields: SentFields['fields']): void {
  const { raw } = reply
  for (const name of head.removed ?? []) raw.removeHeader(name)
  reply.hijack()
  raw.writeHead(head.status, fields)
  if (request.method === 'HEAD' || hasNoContent(head.status)) raw.end()
  else raw.end(body)
}

/** Where a name stands among names and values; -1: nowhere. */
function placeOf (fields: readonly string[], name: string): number {
  for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return at
  return -1
}

/** RFC 9211 section 2: the last member is that of the cache nearest to the user. */
function withMember (upstream: string, status: string): string {
  return upstream === '' ? status : `${upstream}, ${status}`
}

/** The stored members of other caches stay: section 3 shows a hit behind a hit. */
function addMember (fields: string[], name: string, status: string): void {
  const at = placeOf(fields, name)
  if (at === -1) fields.push(name, status)
  else fields[at + 1] = withMember(fields[at + 1] as string, status)
}

/** Node drops all but the last line of a repeated name from a list, once anybody has set a field on the raw answer. */
function forNode (fields: string[]): SentFields['fields'] {
  // The lines of one name follow each other.
  for (let at = 2; at < fields.length; at += 2) if (fields[at] === fields[at - 2]) return grouped(fields)
  return fields
}

function announced (fields: string[], { request }: FastifyReply, { head }: Entry<ResponseHead>): string[] {
  if (announcesRanges(request.method, head.status) && placeOf(fields, 'accept-ranges') === -1) fields.push('accept-ranges', 'bytes')
  return fields
}

function addVary (fields: string[], present: string): void {
  const at = placeOf(fields, 'vary')
  if (at === -1) fields.push('vary', present)
  else fields[at + 1] = union(present, fields[at + 1] as string)
}
