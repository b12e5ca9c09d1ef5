// What becomes of a fill: stored where it may be, shared with those who wait, counted either way.
import type { MaybePromise } from '../../registry/backend.js'
import { kArrival } from '../arrival.js'
import type { Engine } from '../engine.js'
import type { Entry, ResponseHead } from '../store/entry.js'
import { Fill } from './fill.js'
import type { FillUnderWay } from './fills-under-way.js'
import type { Flight } from './flight.js'
import { UNAVAILABLE } from '../store/guard.js'
import type { RequestFields } from '../sent.js'
import { andThen } from '../../registry/maybe-promise.js'
import { areTags } from '../invalidation/targets.js'
import { tagName, type KnownRoute } from '../known-route.js'
import { count } from '../stats.js'
import type { FillEnd, Recorded } from './recorded.js'
import type { Marked } from '../send.js'
import { INCOMPLETE, TRANSIENT, type RefusalReason } from '../status.js'
import type { Found } from '../store/store.js'
import { Validation } from './validation.js'
import { tagsOf } from '../store/tags.js'
import type { Visit } from './visit.js'
import { isGone } from '../http/statuses.js'
import { fieldIn } from '../http/validators.js'
import { variantOf } from '../http/vary.js'

export class Filling implements FillEnd, FillUnderWay {
  readonly key: string
  readonly fill: Fill
  readonly order: number
  readonly followed: boolean
  readonly hasTrailers: () => boolean
  /** Tag, stamp, tag, stamp ... of the route's own tags, taken before the handler ran. */
  stamps: readonly string[] | typeof UNAVAILABLE | undefined
  #tags: readonly string[] | undefined
  #marked: Marked | undefined
  #stoodIn = false
  #superseded = false
  #patience: NodeJS.Timeout | undefined
  readonly #engine: Engine
  readonly #route: KnownRoute
  readonly #visit: Visit
  readonly #found: Found
  readonly flight: Flight | undefined
  /** A copy: handlers change `request.headers` before they pass a request on. */
  readonly #asked: RequestFields

  constructor (engine: Engine, route: KnownRoute, visit: Visit, found: Found, flight: Flight | undefined) {
    this.key = visit.key
    this.order = engine.fills.nextOrder()
    this.followed = engine.follows(visit.reply)
    this.hasTrailers = engine.internals.trailersSince(visit.reply)
    this.#engine = engine
    this.#route = route
    this.#visit = visit
    this.#found = found
    this.flight = flight
    this.#asked = { headers: { ...visit.request.headers }, [kArrival]: visit.request[kArrival] }
    this.fill = new Fill(route.policy, visit.request, visit.reply, { end: this, budget: engine.budget, now: engine.now })
    this.fill.servesRanges = engine.internals.servesRanges(visit.request)
    if (visit.behind !== undefined) this.fill.validation = new Validation(visit.request, visit.behind, engine.now())
    visit.refresh?.begin()
    engine.fills.began(this)
  }

  /** None comes of a HEAD. */
  get mayStore (): boolean { return !this.fill.over && this.fill.forbidden !== 'head' }

  supersede (): void {
    this.#superseded = true
  }

  /** The verdict, and what Cache-Status says of it. */
  judge (): void {
    const { fill } = this
    const storing = fill.judge()
    if (storing !== false) this.#tags = this.#tagsOf(fill)
    const detail = fill.refusedFor ?? this.#obstacle(this.#tags)
    const status = this.#engine.status.forwarded(this.#visit.why, { stored: storing === true && detail === undefined, detail, status: fill.answered })
    // An error on the way out has the hooks run again.
    this.#marked = this.#engine.sender.mark(this.#visit.reply, status, this.#marked)
    // RFC 9110 section 15.4.5, as for a hit.
    if (this.#visit.reply.statusCode === 304) this.#engine.internals.dropTrailers(this.#visit.reply)
  }

  stored (recorded: Recorded): void {
    const engine = this.#engine
    clearTimeout(this.#patience)
    const at = engine.now()
    // What was asked with a body can't be asked again without a client.
    const isRepeatable = this.#visit.request.method === 'GET' || this.#visit.request.method === 'HEAD'
    const { freshMs, ageMs, varyNames, keptMs, staleWhileRevalidateMs, staleIfErrorMs, mustRevalidate } = recorded.verdict
    const head: ResponseHead = {
      kind: 'response',
      key: this.key,
      status: recorded.status,
      // RFC 9110 section 6.6.1: an answer without a Date is dated when it came.
      fields: fieldIn(recorded.fields, 'date') !== undefined ? recorded.fields : [...recorded.fields, 'date', engine.httpDate(recorded.madeAt)],
      ...(recorded.removed.length > 0 && { removed: recorded.removed }),
      storedAt: at,
      freshUntil: Math.max(at + freshMs, 0),
      ...(staleWhileRevalidateMs > 0 && isRepeatable && { staleUntil: at + freshMs + staleWhileRevalidateMs }),
      ...(staleIfErrorMs > 0 && { staleOnErrorUntil: at + freshMs + staleIfErrorMs }),
      ...(mustRevalidate && { mustRevalidate: true }),
      ...(recorded.ownEtag && { ownEtag: true }),
      ageMs,
      text: typeof recorded.body === 'string'
    }
    // A handler may name them while its stream passes.
    const tags = this.fill.decision.tags ?? this.#tags
    this.#share(head, recorded.body, varyNames, tags ?? [])
    // A backend that answers later finds the bytes as they are now, whatever becomes of a buffer that was lent to us.
    const body = typeof recorded.body === 'string' || (tags?.length === 0 && varyNames.length === 0) ? recorded.body : Buffer.from(recorded.body)
    const keeping = tags === undefined ? 'tags' : this.#keep(head, body, { tags, varyNames, expiresAt: at + freshMs + keptMs })
    engine.guard.track(andThen(keeping, (refused) => {
      // Not before: until it is stored, a fill that began later may still overtake it.
      engine.fills.ended(this)
      if (refused === undefined) {
        this.#route.stats.stores++
        this.#visit.refresh?.succeed()
      } else count(this.#route.stats.refusals, refused)
    }))
  }

  /** Stores an answer with its tags' stamps. Answers why it was not stored, if it was not. */
  #keep (head: ResponseHead, body: Buffer | string, { tags, varyNames, expiresAt }: { tags: readonly string[], varyNames: readonly string[], expiresAt: number }): MaybePromise<RefusalReason | undefined> {
    const engine = this.#engine
    const known = this.#obstacle(tags)
    if (known !== undefined) return known
    return andThen(this.#stampsOf(tags), (stamps) => {
      if (stamps === UNAVAILABLE) return 'unavailable'
      const obstacle = this.#obstacle(tags)
      if (obstacle !== undefined) return obstacle
      engine.fills.supersede(this)
      return andThen(engine.store.keep({
        key: this.key,
        head: stamps.length === 0 ? head : { ...head, tags: stamps },
        body,
        varyNames,
        asked: this.#asked,
        spelling: this.#route.policy.vary,
        variants: this.#found.variants,
        mayStore: () => this.#obstacle(tags) === undefined
      }, expiresAt), (kept) => kept ? undefined : this.#obstacle(tags) ?? 'unavailable')
    })
  }

  /** The connection is over. Only now the status of what was sent past Fastify is known. What is still being made is waited for. */
  closed (): void {
    const { fill } = this
    const { raw } = this.#visit.reply
    const isPastFastify = !fill.taken && raw.writableEnded
    if (isPastFastify) fill.isOutdated = this.#visit.behind !== undefined && isGone(raw.statusCode)
    if (fill.over) return isPastFastify && fill.isOutdated ? this.#endWhatIsBehind() : undefined
    if (fill.streaming) return fill.abandon()
    if (isPastFastify) return fill.refuse('hijacked')
    this.#patience = setTimeout(() => fill.refuse('client-gone'), this.#engine.lockTimeoutMs).unref()
  }

  refused (reason: RefusalReason, fault?: unknown): void {
    const engine = this.#engine
    clearTimeout(this.#patience)
    engine.fills.ended(this)
    this.fill.validation?.putBack()
    if (this.#endsWhatIsBehind(reason)) this.#endWhatIsBehind()
    else this.#visit.refresh?.fail(reason)
    if (this.flight !== undefined && !this.#stoodIn) engine.flights.release(this.flight, TRANSIENT.has(reason) ? 'failed' : 'not-shareable')
    if (fault !== undefined) engine.fault(this.#route.name, reason, fault)
    if (reason === 'csp-nonce') engine.fault(this.#route.name, reason, new Error('Content-Security-Policy holds a nonce, which is for one answer only'))
    count(this.#route.stats.refusals, reason)
  }

  /** Whether the handler's answer, which is not stored, tells that the stored one holds no more (RFC 9111 section 4.3.3) or may not be kept any longer (section 3.2). */
  #endsWhatIsBehind (reason: RefusalReason): boolean {
    const { isOutdated, isUpheld } = this.fill
    // A cookie is for the one who asked.
    return !INCOMPLETE.has(reason) && (isOutdated || (isUpheld && reason !== 'set-cookie'))
  }

  /** Forgets it. That is all that a refresh has to find out. */
  #endWhatIsBehind (): void {
    this.#engine.fills.supersede(this)
    this.#engine.guard.track(this.#engine.store.forget(this.#visit.behind as Entry<ResponseHead>))
    this.#visit.refresh?.succeed()
  }

  stoodIn ({ head, body }: Entry<ResponseHead>): void {
    this.#stoodIn = true
    this.#route.stats.staleHits++
    this.#share(head, body, [], tagsOf(head.tags ?? []))
  }

  /** Gives the answer to those who wait, whether or not it can be stored. */
  #share (head: ResponseHead, body: Buffer | string, varyNames: readonly string[], tags: readonly string[]): void {
    if (this.flight === undefined) return
    // What is known to vary varies for who waits too, though this answer doesn't say so.
    const names = [...new Set([...varyNames, ...this.#found.variants?.head.names ?? []])]
    this.#engine.flights.share(this.flight, () => ({
      entry: { head, body: Buffer.from(body as string) },
      varyNames: names,
      variant: variantOf(names, this.#asked, this.#route.policy.vary),
      names: this.#names(tags)
    }))
  }

  /** The answer's tags; undefined when what was given is not usable. */
  #tagsOf (fill: Fill): readonly string[] | undefined {
    const { tags } = this.#route.policy
    if (fill.decision.tags !== undefined) return fill.decision.tags
    if (typeof tags !== 'function') return fill.isUpheld ? this.#withStored(tags) : tags
    try {
      const given: unknown = tags(this.#visit.request, this.#visit.reply)
      if (areTags(given)) return fill.isUpheld ? this.#withStored(given) : given
      // A promise's own failure belongs to nobody any more.
      if (given instanceof Promise) given.catch(() => {})
      this.#engine.fault(this.#route.name, 'tags', new TypeError('tags must answer an array of strings that are not empty'))
    } catch (fault) {
      this.#engine.fault(this.#route.name, 'tags', fault)
    }
    return undefined
  }

  /** What was stored under a tag and holds still stays under it, though the handler that said so did not name it again. */
  #withStored (tags: readonly string[]): readonly string[] {
    const all = new Set([...tags, ...tagsOf(this.#visit.behind?.head.tags ?? [])])
    return all.size === tags.length ? tags : [...all]
  }

  #stampsOf (tags: readonly string[]): MaybePromise<readonly string[] | typeof UNAVAILABLE> {
    if (tags.length === 0) return []
    if (tags === this.#route.policy.tags && this.stamps !== undefined) return this.stamps
    return this.#engine.tags.stamped(tags, this.#engine.guard.deadline())
  }

  /** Why an answer that could be stored isn't; undefined where nothing stands against it. */
  #obstacle (tags: readonly string[] | undefined): RefusalReason | undefined {
    const { fence, closed } = this.#engine
    if (tags === undefined) return 'tags'
    if (this.#found.unavailable === true) return 'unavailable'
    if (this.#superseded) return 'superseded'
    if (closed) return 'closed'
    return fence.movedSince(this.#visit.mark, () => this.#names(tags)) ? 'invalidated' : undefined
  }

  #names (tags: readonly string[]): string[] {
    return [this.key, ...this.#route.fenceNames(this.#visit.target), ...tags.map(tagName)]
  }
}
