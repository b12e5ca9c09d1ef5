// Whether a handler's response may be stored: asked when it is captured, when all hooks have run, and when it was sent.
import { kArrival } from '../request/arrival.js'
import type { Fields, FieldValue } from '../http/field-values.js'
import { storability, type ReplyOptions as ReplyDecision, type Storability } from '../http/storability.js'
import { CONDITIONAL_STATUSES } from '../http/status-codes.js'
import { canBeValidated, handlersValidators } from '../http/conditional.js'
import type { RefusalReason } from '../observe/reasons.js'
import type { RoutePolicy } from '../options/route-options.js'
import { announcedLength } from '../serve/payload.js'
import type { Exchange } from './exchange.js'
import { replyOptionsOf, type ReplyCacheOptions } from './reply-options.js'

/** What it needs to know of a handler's response. */
export interface JudgedResponse {
  readonly status: number
  readonly fields: readonly string[]
  readonly vary: FieldValue
  /** When its head was made, in epoch milliseconds. */
  readonly madeAt: number
  readonly ownEtag: boolean
  readonly allowsOneOrigin: boolean
}

export class Judgement {
  readonly #exchange: Exchange
  readonly #policy: RoutePolicy
  readonly #now: () => number
  readonly #askedAt: number
  #forbidden: RefusalReason | undefined
  /** What `reply.cache()` was told. Changed by `choose` alone. */
  chosen: ReplyDecision = {}
  #whole: Fields | undefined

  /** `forbidden`: why the response is not stored whatever it is, if that is known. */
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

  /** `reply.cache(options)`. Throws CACHE_ERR_OPTION. */
  choose (options: ReplyCacheOptions): void {
    this.chosen = replyOptionsOf(options, this.chosen)
  }

  /** The response is not stored, whatever it is. The first reason counts. */
  forbid (reason: RefusalReason): void {
    this.#forbidden ??= reason
  }

  /** RFC 9111 section 4.3.5: a HEAD that says that the response to a GET is still valid has freshened that. */
  allowHead (): void {
    if (this.#forbidden === 'head') this.#forbidden = undefined
  }

  /** A condition or a range of the client is about to take fields out of the reply: the whole response has those that it has now. */
  noteWhole (): void {
    this.#whole = this.#exchange.reply.getHeaders() as Fields
  }

  /**
   * On what terms it may be stored as it stands, or why not. The fields of all hooks decide that; what the handler set is what is stored.
   */
  of (response: JudgedResponse, fields = this.#exchange.reply.getHeaders() as Fields): Storability {
    return this.#forbidden !== undefined ? { refused: this.#forbidden } : this.#verdict(response, fields)
  }

  /**
   * Once more with what was set past Fastify as the head was written: a cookie of a session, all fields of a stream, which is older by now.
   */
  last (response: JudgedResponse): Storability {
    return this.of(response, this.#exchange.reply.raw.getHeaders() as Fields)
  }

  /** Whether a response to GET would be stored that has these fields. */
  ofGet (response: JudgedResponse): boolean {
    const { reply } = this.#exchange
    return (announcedLength(reply) ?? 0) <= this.#policy.maxBodyBytes &&
      !('refused' in this.#verdict(response, reply.getHeaders() as Fields))
  }

  #verdict (response: JudgedResponse, fields: Fields): Storability {
    const { request, reply } = this.#exchange
    // A hook may apply a condition or cut out a part of what the handler made: the whole remains true.
    const isCut = CONDITIONAL_STATUSES.includes(reply.statusCode)
    if (reply.statusCode !== response.status && !isCut) return { refused: 'status' }
    const at = this.#now()
    const verdict = storability({
      status: response.status,
      fields: this.#whole === undefined ? fields : { ...this.#whole, ...fields },
      vary: response.vary,
      hasValidator: (request.method === 'GET' || request.method === 'HEAD') && canBeValidated(handlersValidators(response, at)),
      authorized: this.#policy.credentials === 'ignore' &&
        (request[kArrival].hasAuthorization || request.headers.authorization !== undefined),
      askedAt: this.#askedAt,
      at,
      madeAt: response.madeAt,
      options: this.chosen
    }, this.#policy)
    // RFC 9110 section 5.6.1: a response for one origin that Vary doesn't tell of would go to others.
    return 'varyNames' in verdict && response.allowsOneOrigin && !verdict.varyNames.includes('origin') ? { refused: 'cors' } : verdict
  }
}
