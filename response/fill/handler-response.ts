// What a handler responded with, captured before other hooks see it.
import type { FastifyReply } from 'fastify'
import { etagOf } from '../http/etag.js'
import { fieldsRemoved, fieldsToStore } from '../http/fields.js'
import type { Fields, FieldValue } from '../http/field-values.js'
import type { RoutePolicy } from '../options.js'

/** A handler's response; its body is absent while a stream has yet to end. */
export class HandlerResponse {
  readonly status: number
  readonly vary: FieldValue
  /** Names of fields that hooks in front of the handler had set and that it took away. */
  readonly removed: readonly string[]
  /** When its head was made, in epoch milliseconds. */
  readonly madeAt: number
  /** Whether other hooks may yet change the body. */
  readonly mayChange: boolean
  fields: readonly string[]
  body: Buffer | string | undefined
  /** Whether the ETag among the fields was made here. */
  ownEtag: boolean

  private constructor (reply: FastifyReply, fields: readonly string[], removed: readonly string[], { madeAt, mayChange, ownEtag }: Captured) {
    this.status = reply.statusCode
    this.vary = reply.getHeader('vary') as FieldValue
    this.removed = removed
    this.fields = fields
    this.madeAt = madeAt
    this.mayChange = mayChange
    this.ownEtag = ownEtag
  }

  /** The reply as the handler left it; undefined where a field of it could not be sent again as it is. `before`: the reply's fields before the handler ran. */
  static of (reply: FastifyReply, before: Fields, setCookie: RoutePolicy['setCookie'], captured: Captured): HandlerResponse | undefined {
    const after = reply.getHeaders() as Fields
    const fields = fieldsToStore(before, after, setCookie)
    return fields === undefined ? undefined : new HandlerResponse(reply, fields, fieldsRemoved(before, after), captured)
  }

  /** Adds an ETag made of the body, where it is whole, the handler named none, and nobody else may change it. `isSent`: to the reply, too. */
  addEtag (reply: FastifyReply, isSent: boolean): void {
    if (this.body === undefined || this.mayChange || this.status !== 200 || reply.hasHeader('etag')) return
    const etag = etagOf(this.body)
    this.fields = [...this.fields, 'etag', etag]
    this.ownEtag = true
    if (isSent && reply.statusCode === this.status) reply.header('etag', etag)
  }
}

/** What is to be known of a response beside the reply. */
interface Captured extends Pick<HandlerResponse, 'madeAt' | 'mayChange' | 'ownEtag'> {}
