// Stores a handler's response: creates its head, reads the stamps of its tags, and checks whether anything prevents storing it.
import type { MaybePromise } from '../../registry/backend.js'
import { kArrival } from '../request/arrival.js'
import { selection } from '../request/variant.js'
import type { ReplyOptions, Storable } from '../http/storability.js'
import { areTags } from '../options/invalidation-target.js'
import { tagName, type KnownRoute } from '../known-route.js'
import type { RefusalReason } from '../observe/reasons.js'
import type { RequestFields } from '../request/request-fields.js'
import type { ResponseHead } from '../store/entry.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import type { Found } from '../store/store.js'
import type { Right } from '../store/response-to-store.js'
import { INVALIDATED } from '../store/tags.js'
import { andThen } from '../../registry/maybe-promise.js'
import type { Exchange, FillStart } from './exchange.js'
import type { FillServices } from './fill-services.js'
import type { Selects } from './flight.js'
import type { ResponsePlace, SharedResponse } from './shared-response.js'
import type { HandlerResponse } from './capture.js'

/** The result passed to requests that are waiting for the same response. */
export interface Shareable {
  readonly head: ResponseHead
  readonly body: Buffer | string
  readonly varyNames: readonly string[]
  /** The response's tags; undefined if they are invalid. */
  readonly tags: readonly string[] | undefined
}

/** A response that is ready to be stored. */
export interface Ready extends Shareable {
  /** When the entry expires, in epoch milliseconds. */
  readonly expiresAt: number
}

export class Storing {
  /** Whether `prepare` must read stamps, because the route has a list of tags and the backend is available. */
  readonly needsStamps: boolean
  /** The right to store the response, which ends with the fill; undefined if the backend knows no claims. */
  readonly right: Right | undefined
  readonly #services: FillServices
  readonly #route: KnownRoute
  readonly #exchange: Exchange
  readonly #found: Found
  /** A copy of the request's fields, because handlers change `request.headers` before they proxy a request. */
  readonly #asked: RequestFields
  /** Returns the request's values of these fields, as they were before the handler ran. */
  readonly selects: Selects = (names) => selection(names, this.#asked, this.#route.policy.vary)
  /** The route's own tags, each followed by its stamps from before the handler ran. */
  #stamps: readonly string[] | typeof UNAVAILABLE | undefined
  /** The number of the last invalidation before the handler ran. It is needed for tags that are known only afterwards. */
  readonly #lastInvalidation: number | typeof UNAVAILABLE | undefined

  constructor (services: FillServices, route: KnownRoute, { exchange, forward: { found }, turn }: FillStart) {
    this.#services = services
    this.#route = route
    this.#exchange = exchange
    this.#found = found
    this.right = turn?.right
    this.#lastInvalidation = turn?.lastInvalidation
    const { tags } = route.policy
    this.needsStamps = typeof tags !== 'function' && tags.length > 0 && found.state !== 'unavailable'
    this.#asked = { headers: { ...exchange.request.headers }, [kArrival]: exchange.request[kArrival] }
  }

  /**
   * Reads the stamps of the route's own tags before the handler runs, so that a later invalidation of these tags applies to the response.
   */
  prepare (): Promise<void> | undefined {
    const stamps = this.#services.tags.stamped(this.#route.policy.tags as readonly string[], this.#exchange.deadline)
    if (stamps instanceof Promise) return stamps.then((there) => { this.#stamps = there })
    this.#stamps = stamps
    return undefined
  }

  /**
   * Returns the response's tags: `chosen` if given, otherwise the route's tags together with `also`. Returns undefined if the route's
   * function throws or returns anything invalid.
   */
  tags (chosen: readonly string[] | undefined, also: readonly string[] = []): readonly string[] | undefined {
    const { tags } = this.#route.policy
    const { observer } = this.#services
    if (chosen !== undefined) {
      this.#route.choosesTags = true
      return chosen
    }
    if (typeof tags !== 'function') return together(tags, also)
    try {
      const given: unknown = tags(this.#exchange.request, this.#exchange.reply)
      if (areTags(given)) return together(given, also)
      // The promise is not used, so its rejection is ignored.
      if (given instanceof Promise) given.catch(() => {})
      observer.fault(this.#route.name, 'tags', new TypeError('tags must return an array of non-empty strings'), this.#exchange.request.id)
    } catch (fault) {
      observer.fault(this.#route.name, 'tags', fault, this.#exchange.request.id)
    }
    return undefined
  }

  /** Returns the reason why a storable response can't be stored now; undefined if nothing prevents it. */
  obstacle (place: ResponsePlace, tags: readonly string[] | undefined): RefusalReason | undefined {
    const { fence, guard } = this.#services
    if (tags === undefined) return 'tags'
    if (this.#found.state === 'unavailable') return 'unavailable'
    if (place.isSuperseded) return 'superseded'
    if (guard.isClosed) return 'closed'
    const { mark } = this.#exchange
    return fence.mark !== mark && fence.movedSince(mark, () => this.#names(tags)) ? 'invalidated' : undefined
  }

  /** Returns the response in the form in which it is stored on these terms. `body` is the complete body. */
  ready (
    response: HandlerResponse, body: Buffer | string, terms: Storable,
    { tags, chosen }: { tags: readonly string[] | undefined, chosen: ReplyOptions }
  ): Ready {
    const { method } = this.#exchange.request
    const at = this.#services.now()
    const { freshMs, ageMs, varyNames, keptMs, staleWhileRevalidateMs, staleIfErrorMs, mustRevalidate } = terms
    // A request with a body can't be repeated in the background.
    const isRepeatable = method === 'GET' || method === 'HEAD'
    const head: ResponseHead = {
      kind: 'response',
      key: this.#exchange.key,
      status: response.status,
      fields: response.fields,
      ...(response.removed.length > 0 && { removed: response.removed }),
      storedAt: at,
      freshUntil: Math.max(at + freshMs, 0),
      ...(staleWhileRevalidateMs > 0 && isRepeatable && { staleUntil: at + freshMs + staleWhileRevalidateMs }),
      ...(staleIfErrorMs > 0 && { staleOnErrorUntil: at + freshMs + staleIfErrorMs }),
      ...(mustRevalidate && { mustRevalidate: true }),
      ...(response.ownEtag && { ownEtag: true }),
      ...(chosen.ttlMs !== undefined && { ownTtl: true }),
      ...(chosen.tags !== undefined && { ownTags: true }),
      ageMs,
      text: typeof body === 'string'
    }
    return { head, body, varyNames, tags: chosen.tags ?? tags, expiresAt: at + freshMs + keptMs }
  }

  /** Stores the response with the stamps of its tags. Returns why it was not stored, or undefined if it was. */
  store (place: ResponsePlace, { head, body, varyNames, tags, expiresAt }: Ready): MaybePromise<RefusalReason | undefined> {
    const { fills, store } = this.#services
    const known = this.obstacle(place, tags)
    if (known !== undefined || tags === undefined) return known
    const { right } = this
    // If the backend must be read first, a copy of a buffer is stored, because the application may change the buffer meanwhile.
    const isReadFirst = tags.length > 0 || varyNames.length > 0 || this.#found.variants !== undefined ||
      this.#asked[kArrival].changes !== ''
    const kept = typeof body !== 'string' && isReadFirst ? Buffer.from(body) : body
    const write = (stamps: readonly string[] | typeof UNAVAILABLE | typeof INVALIDATED): MaybePromise<RefusalReason | undefined> => {
      if (stamps === UNAVAILABLE) return 'unavailable'
      if (stamps === INVALIDATED) return 'invalidated'
      fills.supersede(place, this.selectedBy(varyNames))
      const isKept = store.storeResponse({
        key: this.#exchange.key,
        head: stamps.length === 0 ? head : { ...head, tags: stamps },
        body: kept,
        varyNames,
        asked: this.#asked,
        spelling: this.#route.policy.vary,
        found: this.#found,
        right,
        mayStore: () => this.obstacle(place, tags) === undefined
      }, expiresAt)
      return andThen(isKept, (is) => {
        if (is !== true) return this.obstacle(place, tags) ?? (is === false && right !== undefined ? 'invalidated' : 'unavailable')
        // The response is stored with stamps that are no longer current, if another process has invalidated a tag meanwhile.
        const isCurrent = right === undefined || stamps.length === 0 || place.fill.flight?.isAwaited !== true || this.#areCurrent(stamps)
        return andThen(isCurrent, (are) => are ? undefined : 'invalidated')
      })
    }
    const stamps = this.#stampsOf(tags)
    return stamps instanceof Promise ? stamps.then((there) => this.obstacle(place, tags) ?? write(there)) : write(stamps)
  }

  /**
   * Returns whether nothing has invalidated the response since the handler began. Asks the store, because another process may have done it.
   */
  async isCurrent (tags: readonly string[] = []): Promise<boolean> {
    if (await this.right?.own.isValid() === false) return false
    if (tags.length === 0) return true
    const stamps = await this.#stampsOf(tags)
    return stamps !== INVALIDATED && (stamps === UNAVAILABLE || await this.#areCurrent(stamps))
  }

  /** Returns whether no tag was invalidated since it had these stamps. If the backend does not respond, they count as current. */
  #areCurrent (stamps: readonly string[]): MaybePromise<boolean> {
    const { guard, tags } = this.#services
    return andThen(tags.areCurrent(stamps, guard.deadline()), (are) => are !== false)
  }

  /** Gives the right to store the response back, if it was not used. For `aloneMs`, nobody waits for this key. */
  giveBack (aloneMs = 0): void {
    this.right?.variant?.giveBack(aloneMs)
    this.right?.own.giveBack(aloneMs)
  }

  /** Returns what waiting requests share: the response, and the names under which it may be invalidated. */
  shared ({ head, body, tags = [] }: Shareable): SharedResponse {
    return { entry: { head, body: Buffer.from(body as string) }, names: this.#names(tags) }
  }

  /** Returns the request fields that select the variant: those that Vary names, and those on which earlier responses varied. */
  selectedBy (varyNames: readonly string[]): readonly string[] {
    return [...varyNames, ...this.#found.variants?.head.names ?? []]
  }

  #stampsOf (tags: readonly string[]): MaybePromise<readonly string[] | typeof UNAVAILABLE | typeof INVALIDATED> {
    if (tags.length === 0) return []
    if (tags === this.#route.policy.tags && this.#stamps !== undefined) return this.#stamps
    const { guard, tags: stamps } = this.#services
    const last = this.#lastInvalidation
    if (last === UNAVAILABLE) return UNAVAILABLE
    return last === undefined ? stamps.stamped(tags, guard.deadline()) : stamps.stampedSince(last, tags, guard.deadline())
  }

  /** Returns the names under which the fence knows the response: its key, its route, its URL and its tags. */
  #names (tags: readonly string[]): string[] {
    return [this.#exchange.key, ...this.#route.fenceNames(this.#exchange.target), ...tags.map(tagName)]
  }
}

function together (tags: readonly string[], others: readonly string[]): readonly string[] {
  const all = new Set([...tags, ...others])
  return all.size === tags.length ? tags : [...all]
}
