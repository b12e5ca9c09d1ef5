// Remembers which requests are not collapsed: those for a variant that could not be shared, and ranges of responses that are too large.
import { lruOf } from '../../registry/lru.js'
import type { Selects } from './flight.js'

/** After a response that can't be shared, requests for its variant are not collapsed for this long. */
export const UNCOLLAPSED_MS = 10_000
const MAX_KEYS = 10_000
/** If more variants of a key than this can't be shared, no request for the key is collapsed. */
const MAX_VARIANTS = 32

/** The variants of one key that could not be shared. */
interface Refusals {
  /** The request fields that select the variant. */
  readonly names: readonly string[]
  /** For each variant, the time until which its requests are not collapsed. */
  readonly until: Map<string, number>
}

/** The variant that a flight produced: the request fields that select it, and their values. */
interface RefusedVariant { readonly key: string, readonly names: readonly string[], readonly selecting: string }

export class Uncollapsed {
  readonly #refusals = lruOf<Refusals>(MAX_KEYS)
  readonly #tooLarge = lruOf<true>(MAX_KEYS)
  readonly #now: () => number

  constructor (now: () => number) {
    this.#now = now
  }

  /** Records that the flight's response could not be shared. */
  note ({ key, names, selecting }: RefusedVariant): void {
    const known = this.#refusals.get(key)
    const isSame = known?.names.join() === names.join()
    const isFull = isSame && (known as Refusals).until.size >= MAX_VARIANTS
    const refusals: Refusals = isFull ? { names: [], until: new Map() } : isSame ? known as Refusals : { names, until: new Map() }
    refusals.until.set(isFull ? '' : selecting, this.#now() + UNCOLLAPSED_MS)
    this.#refusals.set(key, refusals)
  }

  /** Returns whether a request for `key` is not collapsed, because the response to a request for its variant could not be shared. */
  has (key: string, selects: Selects): boolean {
    const refusals = this.#refusals.size > 0 ? this.#refusals.get(key) : undefined
    return refusals !== undefined && (refusals.until.get(selects(refusals.names)) ?? 0) > this.#now()
  }

  /** Records that the response under `key` exceeds `maxBodyBytes`. */
  noteTooLarge (key: string): void {
    this.#tooLarge.set(key, true)
  }

  /** Records that the response under `key` fits into the cache. */
  noteFits (key: string): void {
    if (this.#tooLarge.size > 0) this.#tooLarge.delete(key)
  }

  /** Returns whether the last response under `key` exceeded `maxBodyBytes`. Its handler then receives ranges. */
  isTooLarge (key: string): boolean {
    return this.#tooLarge.size > 0 && this.#tooLarge.get(key) === true
  }
}
