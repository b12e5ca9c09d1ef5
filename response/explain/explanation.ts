// The result of `explain()`: a plain object that is easy to read when it is printed.
import { inspect } from 'node:util'
import type { Concurrency } from '../fill/single-flight.js'
import type { BypassReason, MissReason } from '../observe/reasons.js'

/** A point in time, for programs and for people. */
export interface Instant {
  /** The time in epoch milliseconds. */
  readonly at: number
  /** The same time in ISO 8601. */
  readonly text: string
}

/** The key of a request, and its parts. */
export interface ExplainedKey {
  /** The key under which the backend stores the response. */
  readonly text: string
  /** The parts of the key on this route (path, query, origin, header fields ...), with the request's values. */
  readonly parts: Readonly<Record<string, string>>
}

/** The stored response that was found. */
export interface ExplainedEntry {
  /** The status code of the response. */
  readonly status: number
  /** The length of the body. */
  readonly bytes: number
  /** The age of the response, as in the Age field. */
  readonly ageSeconds: number
  /** The tags with which the response was stored. */
  readonly tags: readonly string[]
  /**
   * The times at which the response's state changes, earliest first. Times that don't apply are absent, such as `staleUntil` without
   * `staleWhileRevalidate`.
   */
  readonly timeline: {
    /** When the response was stored. */
    readonly stored: Instant
    /** The time until which the response is fresh. */
    readonly freshUntil: Instant
    /** The time until which the response is served while a refresh runs. */
    readonly staleUntil?: Instant
    /** The time until which the response is served if the handler fails. */
    readonly staleOnErrorUntil?: Instant
    /** When the entry expires in the backend. */
    readonly gone?: Instant
  }
}

/** The variants under one key: stored responses that Vary tells apart. */
export interface ExplainedVariants {
  /** How many variants there are. */
  readonly count: number
  /** The fields that Vary names, with the request's values. */
  readonly fields: Readonly<Record<string, string>>
}

/** The explanation of a request. */
export interface Explained {
  /** The cache's decision: to serve the stored response fresh or stale, to forward the request, or to let it bypass the cache. */
  readonly decision: 'hit' | 'stale' | 'miss' | 'bypass'
  /** The reason for the decision, as a code. Some of the codes also appear in `Cache-Status`. */
  readonly reason: BypassReason | MissReason | 'fresh' | 'while-revalidate' | 'max-stale' | 'uncached'
  /** The reason for the decision, as a sentence. */
  readonly because: string
  /** The value of `Cache-Status` that is known before the handler runs; absent if no cached route matches. */
  readonly cacheStatus?: string
  /** The name of the route, such as `GET /products/:id`; absent if no route below the registration matches. */
  readonly route?: string
  /** The key and its parts; absent if the request bypasses the cache. */
  readonly key?: ExplainedKey
  /** The stored response that was found, fresh or stale. */
  readonly entry?: ExplainedEntry
  /** The variants under the key, if Vary tells responses apart. */
  readonly variants?: ExplainedVariants
  /**
   * For a miss, what the request would do now about concurrent requests for the same variant: run the handler `alone`, or run it while
   * others wait for it (`leads`), or wait for another request (`waits`), or receive its stream, which has begun (`receives-stream`).
   */
  readonly concurrency?: Concurrency
}

/** The explanation of a request. It is printed as text for people, and `JSON.stringify` returns its data. */
export class Explanation implements Explained {
  /** The cache's decision. */
  declare readonly decision: Explained['decision']
  /** The reason for the decision, as a code. */
  declare readonly reason: Explained['reason']
  /** The reason for the decision, as a sentence. */
  declare readonly because: string
  /** The value of `Cache-Status` that is known before the handler runs. */
  declare readonly cacheStatus?: string
  /** The name of the route, such as `GET /products/:id`. */
  declare readonly route?: string
  /** The key and its parts. */
  declare readonly key?: ExplainedKey
  /** The stored response that was found, fresh or stale. */
  declare readonly entry?: ExplainedEntry
  /** The variants under the key, if Vary tells responses apart. */
  declare readonly variants?: ExplainedVariants
  /** For a miss, what the request would do now about concurrent requests for the same variant. */
  declare readonly concurrency?: Concurrency
  readonly #asked: string

  /** @internal */
  constructor (asked: string, explained: Explained) {
    this.#asked = asked
    Object.assign(this, explained)
    Object.freeze(this)
  }

  /** Returns the explanation as text for people. */
  toString (): string {
    const { decision, reason, because, cacheStatus, route, key, entry, variants, concurrency } = this
    const rows: Array<readonly [string, string]> = [[`${decision}, ${reason}`, because]]
    if (route !== undefined) rows.push(['route', route])
    for (const [name, value] of Object.entries(key?.parts ?? {})) rows.push([`key: ${name}`, value])
    if (variants !== undefined) {
      rows.push([
        'variants',
        `${variants.count}, told apart by ${Object.entries(variants.fields).map(([name, value]) => `${name}: ${value}`).join('; ')}`
      ])
    }
    if (entry !== undefined) {
      rows.push([
        'entry',
        `status ${entry.status}, ${entry.bytes} bytes, age ${entry.ageSeconds} s${entry.tags.length > 0 ? `, tags ${entry.tags.join(', ')}` : ''}`
      ])
      for (const [name, instant] of Object.entries(entry.timeline)) rows.push([TIMELINE[name] as string, (instant as Instant).text])
    }
    if (concurrency !== undefined) rows.push(['concurrent requests', CONCURRENCY[concurrency]])
    if (cacheStatus !== undefined) rows.push(['Cache-Status', cacheStatus])
    const width = Math.max(...rows.map(([name]) => name.length))
    return [this.#asked, ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`)].join('\n')
  }

  /** Returns the same page for `console.log`. */
  [inspect.custom] (): string {
    return this.toString()
  }
}

const CONCURRENCY: Readonly<Record<Concurrency, string>> = {
  alone: 'it would run the handler, and no other request would wait for it',
  leads: 'it would run the handler, and others for the same variant would wait for it',
  waits: 'it would wait for another request, which is running the handler',
  'receives-stream': "it would receive another request's stream, which has begun"
}

const TIMELINE: Readonly<Record<string, string>> = {
  stored: 'stored',
  freshUntil: 'fresh until',
  staleUntil: 'served while a refresh runs until',
  staleOnErrorUntil: 'served if the handler fails until',
  gone: 'gone'
}
