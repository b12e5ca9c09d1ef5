// Decides whether a handler's response may be stored: when it is captured, again when all hooks have run, and again after it was sent.
import { kArrival } from '../request/arrival.js'
import type { Fields, FieldValue } from '../http/field-values.js'
import { storability, type ReplyOptions as ReplyDecision, type Storability } from '../http/storability.js'
import { CONDITIONAL_STATUSES } from '../http/status-codes.js'
import { canBeValidated, handlersValidators } from '../http/conditional.js'
import type { RefusalReason } from '../observe/reasons.js'
import { namesUser, type RoutePolicy } from '../options/route-options.js'
import { announcedLength } from '../serve/payload.js'
import type { Exchange } from './exchange.js'
import { replyOptionsOf, type ReplyCacheOptions } from './reply-options.js'

/** The properties of a handler's response on which the judgement depends. */
export interface JudgedResponse {
  readonly status: number
  readonly fields: readonly string[]
  readonly vary: FieldValue
  /** When the handler created the head, in epoch milliseconds. */
  readonly madeAt: number
  readonly ownEtag: boolean
  readonly allowsOneOrigin: boolean
  readonly setsCookie: boolean
}

export class Judgement {
  readonly #exchange: Exchange
  readonly #policy: RoutePolicy
  readonly #now: () => number
  readonly #askedAt: number
  #forbidden: RefusalReason | undefined
  /** The options passed to `reply.cache()`. Only `choose` changes them. */
  chosen: ReplyDecision = {}
  #whole: Fields | undefined

  /** `forbidden` is the reason why the response must not be stored, if there is one before the handler runs. */
  constructor (exchange: Exchange, policy: RoutePolicy, now: () => number, forbidden: RefusalReason | undefined) {
    this.#exchange = exchange
    this.#policy = policy
    this.#now = now
    this.#askedAt = now()
    this.#forbidden = forbidden
  }

  get forbidden (): RefusalReason | undefined {
    return this.#forbidden
  }

  /** Applies the options of `reply.cache(options)`. Throws CACHE_ERR_OPTION if one is invalid. */
  choose (options: ReplyCacheOptions): void {
    this.chosen = replyOptionsOf(options, this.chosen)
  }

  /** Makes the judgement refuse the response, regardless of everything else. Only the first reason counts. */
  forbid (reason: RefusalReason): void {
    this.#forbidden ??= reason
  }

  /**
   * Called when the response to a HEAD has validated the stored response of GET, which may then be stored again with new fields (RFC 9111
   * section 4.3.5).
   */
  allowHead (): void {
    if (this.#forbidden === 'head') this.#forbidden = undefined
  }

  /** Remembers the fields of the full response. The client's conditions or range may remove some of them afterwards. */
  noteWhole (): void {
    this.#whole = this.#exchange.reply.getHeaders() as Fields
  }

  /**
   * Returns the terms on which the response may be stored now, or the reason why it may not. All fields of the reply are judged, but only
   * those that the handler set are stored.
   */
  of (response: JudgedResponse, fields = this.#exchange.reply.getHeaders() as Fields): Storability {
    return this.#forbidden !== undefined ? { refused: this.#forbidden } : this.#verdict(response, fields)
  }

  /**
   * Judges the response again after its head was written, now by the fields on `reply.raw`. These include fields that other code set there
   * directly, such as a session's cookie. If the payload is a stream, they include all fields, because Fastify sets them there. The
   * response has also aged while its stream was sent.
   */
  last (response: JudgedResponse): Storability {
    return this.of(response, this.#exchange.reply.raw.getHeaders() as Fields)
  }

  /** Returns whether the response to a GET would be stored if it had these fields. */
  ofGet (response: JudgedResponse): boolean {
    const { reply } = this.#exchange
    return (announcedLength(reply) ?? 0) <= this.#policy.maxBodyBytes &&
      !('refused' in this.#verdict(response, reply.getHeaders() as Fields))
  }

  #verdict (response: JudgedResponse, fields: Fields): Storability {
    const { request, reply } = this.#exchange
    // A hook may have reduced the handler's response to a 304 or a part. The full response can still be stored.
    const isCut = CONDITIONAL_STATUSES.includes(reply.statusCode)
    if (reply.statusCode !== response.status && !isCut) return { refused: 'status' }
    const at = this.#now()
    const verdict = storability({
      status: response.status,
      fields: this.#whole === undefined ? fields : { ...this.#whole, ...fields },
      vary: response.vary,
      hasValidator: (request.method === 'GET' || request.method === 'HEAD') && canBeValidated(handlersValidators(response, at)),
      // A cookie that a hook sets is not stored, because the hook runs on hits, too. But it suggests that the response is for one user.
      setsCookie: response.setsCookie || (!namesUser(this.#policy) && fields['set-cookie'] !== undefined),
      authorized: this.#policy.credentials === 'ignore' &&
        (request[kArrival].hasAuthorization || request.headers.authorization !== undefined),
      askedAt: this.#askedAt,
      at,
      madeAt: response.madeAt,
      options: this.chosen
    }, this.#policy)
    // If Access-Control-Allow-Origin names one origin but Vary doesn't name Origin, other origins would receive the response too.
    return 'varyNames' in verdict && response.allowsOneOrigin && !verdict.varyNames.includes('origin') ? { refused: 'cors' } : verdict
  }
}
