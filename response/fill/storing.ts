// From a handler's response to what is stored: its head, its tags and their stamps, and what may yet stand against storing it.
import type { MaybePromise } from '../../registry/backend.js'
import { kArrival } from '../request/arrival.js'
import { variantOf } from '../request/variant.js'
import type { Storable } from '../http/storability.js'
import { areTags } from '../options/invalidation-target.js'
import { tagName, type KnownRoute } from '../known-route.js'
import type { RefusalReason } from '../observe/reasons.js'
import type { RequestFields } from '../request/request-fields.js'
import type { ResponseHead } from '../store/entry.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import type { Found } from '../store/store.js'
import type { Exchange } from './exchange.js'
import type { FillServices } from './fill-services.js'
import type { FlightOutcome, Place } from './single-flight.js'
import type { HandlerResponse } from './capture.js'

/** What those who wait for a response are sent of it. */
export interface Shareable {
  readonly head: ResponseHead
  readonly body: Buffer | string
  readonly varyNames: readonly string[]
  /** Undefined: what was given as tags is not usable. */
  readonly tags: readonly string[] | undefined
}

/** A response that is ready to be stored. */
export interface Ready extends Shareable {
  /** Until when it is kept, in epoch milliseconds. */
  readonly expiresAt: number
}

export class Storing {
  /** Whether the route has tags of its own, which `prepare` asks the backend for. */
  readonly needsStamps: boolean
  readonly #services: FillServices
  readonly #route: KnownRoute
  readonly #exchange: Exchange
  readonly #found: Found
  /** A copy: handlers change `request.headers` before they pass a request on. */
  readonly #asked: RequestFields
  /** Tag, stamp, tag, stamp ... of the route's own tags, taken before the handler ran. */
  #stamps: readonly string[] | typeof UNAVAILABLE | undefined

  constructor (services: FillServices, route: KnownRoute, exchange: Exchange, found: Found) {
    this.#services = services
    this.#route = route
    this.#exchange = exchange
    this.#found = found
    const { tags } = route.policy
    this.needsStamps = typeof tags !== 'function' && tags.length > 0 && found.state !== 'unavailable'
    this.#asked = { headers: { ...exchange.request.headers }, [kArrival]: exchange.request[kArrival] }
  }

  /** Takes the stamps of the route's own tags, before the handler runs: what is invalidated from here on is not stored under them. */
  prepare (): Promise<void> | undefined {
    const stamps = this.#services.tags.stamped(this.#route.policy.tags as readonly string[], this.#exchange.deadline)
    if (stamps instanceof Promise) return stamps.then((there) => { this.#stamps = there })
    this.#stamps = stamps
    return undefined
  }

  /** The response's tags, and those that it has `also`; undefined when what was given is not usable. */
  tags (chosen: readonly string[] | undefined, also: readonly string[] = []): readonly string[] | undefined {
    const { tags } = this.#route.policy
    const { observer } = this.#services
    if (chosen !== undefined) return chosen
    if (typeof tags !== 'function') return together(tags, also)
    try {
      const given: unknown = tags(this.#exchange.request, this.#exchange.reply)
      if (areTags(given)) return together(given, also)
      // A promise's own failure belongs to nobody any more.
      if (given instanceof Promise) given.catch(() => {})
      observer.fault(this.#route.name, 'tags', new TypeError('tags must return an array of non-empty strings'))
    } catch (fault) {
      observer.fault(this.#route.name, 'tags', fault)
    }
    return undefined
  }

  /** Why a response that could be stored isn't; undefined where nothing stands against it. */
  obstacle (place: Place, tags: readonly string[] | undefined): RefusalReason | undefined {
    const { fence, guard } = this.#services
    if (tags === undefined) return 'tags'
    if (this.#found.state === 'unavailable') return 'unavailable'
    if (place.isSuperseded) return 'superseded'
    if (guard.isClosed) return 'closed'
    const { mark } = this.#exchange
    return fence.mark !== mark && fence.movedSince(mark, () => this.#names(tags)) ? 'invalidated' : undefined
  }

  /** What is stored of a response on these terms. `body`: whole by now. */
  ready (response: HandlerResponse, body: Buffer | string, terms: Storable, tags: readonly string[] | undefined): Ready {
    const { method } = this.#exchange.request
    const at = this.#services.now()
    const { freshMs, ageMs, varyNames, keptMs, staleWhileRevalidateMs, staleIfErrorMs, mustRevalidate } = terms
    // What was asked with a body can't be asked again without a client.
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
      ageMs,
      text: typeof body === 'string'
    }
    return { head, body, varyNames, tags, expiresAt: at + freshMs + keptMs }
  }

  /** Stores it, with its tags' stamps. Returns why it was not stored, if it was not. */
  store (place: Place, { head, body, varyNames, tags, expiresAt }: Ready): MaybePromise<RefusalReason | undefined> {
    const { fills, store } = this.#services
    const known = this.obstacle(place, tags)
    if (known !== undefined || tags === undefined) return known
    // A backend that takes its time finds the bytes as they are now, whatever becomes of a buffer that is the caller's own.
    const kept = typeof body === 'string' || (tags.length === 0 && varyNames.length === 0) ? body : Buffer.from(body)
    const write = (stamps: readonly string[] | typeof UNAVAILABLE): MaybePromise<RefusalReason | undefined> => {
      if (stamps === UNAVAILABLE) return 'unavailable'
      fills.supersede(place)
      const isKept = store.storeResponse({
        key: this.#exchange.key,
        head: stamps.length === 0 ? head : { ...head, tags: stamps },
        body: kept,
        varyNames,
        asked: this.#asked,
        spelling: this.#route.policy.vary,
        variants: this.#found.variants,
        mayStore: () => this.obstacle(place, tags) === undefined
      }, expiresAt)
      const outcome = (is: boolean): RefusalReason | undefined => is ? undefined : this.obstacle(place, tags) ?? 'unavailable'
      return isKept instanceof Promise ? isKept.then(outcome) : outcome(isKept)
    }
    const stamps = this.#stampsOf(tags)
    return stamps instanceof Promise ? stamps.then((there) => this.obstacle(place, tags) ?? write(there)) : write(stamps)
  }

  /** What those who wait are given: the response, and what it varies on. */
  shared ({ head, body, varyNames, tags = [] }: Shareable): FlightOutcome {
    // What is known to vary varies for who waits too, though this response doesn't say so.
    const names = [...new Set([...varyNames, ...this.#found.variants?.head.names ?? []])]
    return {
      entry: { head, body: Buffer.from(body as string) },
      varyNames: names,
      variant: variantOf(names, this.#asked, this.#route.policy.vary),
      names: this.#names(tags)
    }
  }

  #stampsOf (tags: readonly string[]): MaybePromise<readonly string[] | typeof UNAVAILABLE> {
    if (tags.length === 0) return []
    if (tags === this.#route.policy.tags && this.#stamps !== undefined) return this.#stamps
    return this.#services.tags.stamped(tags, this.#services.guard.deadline())
  }

  /** What the fence knows the response by. */
  #names (tags: readonly string[]): string[] {
    return [this.#exchange.key, ...this.#route.fenceNames(this.#exchange.target), ...tags.map(tagName)]
  }
}

function together (tags: readonly string[], others: readonly string[]): readonly string[] {
  const all = new Set([...tags, ...others])
  return all.size === tags.length ? tags : [...all]
}
