// What `explain()` returns: plain data that prints as a page to read.
import { inspect } from 'node:util'
import type { BypassReason, MissReason } from '../observe/reasons.js'

/** A moment, for programs and for people. */
export interface Instant {
  /** Epoch milliseconds. */
  readonly at: number
  /** The same in ISO 8601. */
  readonly text: string
}

/** What the key was made of. */
export interface ExplainedKey {
  /** The key as the backend has it. */
  readonly text: string
  /** Path, query, origin, header fields ...: what counts on this route, with the request's values. */
  readonly parts: Readonly<Record<string, string>>
}

/** The stored response that was found. */
export interface ExplainedEntry {
  /** Its status code. */
  readonly status: number
  /** The length of its body. */
  readonly bytes: number
  /** Its age, as the Age field has it. */
  readonly ageSeconds: number
  /** The tags that it was stored with. */
  readonly tags: readonly string[]
  /** Its life, in order. What it doesn't have is absent: `staleUntil` without `staleWhileRevalidate`, say. */
  readonly timeline: {
    /** When it was stored. */
    readonly stored: Instant
    /** Until when it is fresh. */
    readonly freshUntil: Instant
    /** Until when it is served while a refresh runs. */
    readonly staleUntil?: Instant
    /** Until when it is served where the handler fails. */
    readonly staleOnErrorUntil?: Instant
    /** When the backend forgets it. */
    readonly gone?: Instant
  }
}

/** The responses under one key, told apart by Vary. */
export interface ExplainedVariants {
  /** How many there are. */
  readonly count: number
  /** The fields that Vary named, with the request's values. */
  readonly fields: Readonly<Record<string, string>>
}

/** What is said of a request. */
export interface Explained {
  /** What would be done: the stored response sent, sent though stale, the handler asked, or the cache not looked at. */
  readonly decision: 'hit' | 'stale' | 'miss' | 'bypass'
  /** Why, as a code: those of `Cache-Status`, and a few more. */
  readonly reason: BypassReason | MissReason | 'fresh' | 'while-revalidate' | 'max-stale' | 'uncached'
  /** The same in a sentence. */
  readonly because: string
  /** `Cache-Status` as far as it is known before the handler ran; absent where no cached route is asked. */
  readonly cacheStatus?: string
  /** The route: `GET /products/:id`; absent where none below the registration matches. */
  readonly route?: string
  /** What the key was made of; absent where the cache is not looked at. */
  readonly key?: ExplainedKey
  /** The stored response that was found, fresh or stale. */
  readonly entry?: ExplainedEntry
  /** The responses under the key, where they are told apart by Vary. */
  readonly variants?: ExplainedVariants
}

/** Prints as a page; `JSON.stringify` gives the data. */
export class Explanation implements Explained {
  /** What would be done. */
  declare readonly decision: Explained['decision']
  /** Why, as a code. */
  declare readonly reason: Explained['reason']
  /** The same in a sentence. */
  declare readonly because: string
  /** `Cache-Status` as far as it is known before the handler ran. */
  declare readonly cacheStatus?: string
  /** The route, as `GET /products/:id`. */
  declare readonly route?: string
  /** What the key was made of. */
  declare readonly key?: ExplainedKey
  /** The stored response that was found, fresh or stale. */
  declare readonly entry?: ExplainedEntry
  /** The responses under the key, where they are told apart by Vary. */
  declare readonly variants?: ExplainedVariants
  readonly #asked: string

  /** @internal */
  constructor (asked: string, explained: Explained) {
    this.#asked = asked
    Object.assign(this, explained)
    Object.freeze(this)
  }

  /** The page. */
  toString (): string {
    const { decision, reason, because, cacheStatus, route, key, entry, variants } = this
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
    if (cacheStatus !== undefined) rows.push(['Cache-Status', cacheStatus])
    const width = Math.max(...rows.map(([name]) => name.length))
    return [this.#asked, ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`)].join('\n')
  }

  /** The page, for `console.log`. */
  [inspect.custom] (): string {
    return this.toString()
  }
}

const TIMELINE: Readonly<Record<string, string>> = {
  stored: 'stored',
  freshUntil: 'fresh until',
  staleUntil: 'served while a refresh runs until',
  staleOnErrorUntil: 'served if the handler fails until',
  gone: 'gone'
}
