// What all processes of a simulation share, and what is true in it: when data was changed, and who was told that it is invalidated.
import type { Agenda } from './agenda.js'
import type { NearTiers } from './near-tiers.js'
import type { Random } from './random.js'
import type { Traffic, Way } from './settings.js'
import type { Store } from './store.js'
import type { Tally } from './tally.js'

export interface World {
  readonly agenda: Agenda
  readonly tally: Tally
  readonly store: Store
  readonly near: NearTiers
  readonly random: Random
  readonly truth: Truth
  readonly traffic: Traffic
  readonly way: Way
}

/** A request. A response whose data was read before `due` is stale, because an invalidation that was acknowledged had come later. */
export interface Request { readonly key: number, readonly due: number }

export class Truth {
  readonly #tally: Tally
  readonly #tags: number
  /** When the last acknowledged invalidation of a key, or of a tag, had been called for. */
  readonly #keys: Float64Array
  readonly #ofTags: Float64Array
  /** The runs for a key that began since it was changed, those of them that have a lease, and how often the key was changed. */
  readonly #running: Int32Array
  readonly #leased: Int32Array
  readonly #changes: Int32Array

  constructor (tally: Tally, { keys, tags }: Traffic) {
    this.#tally = tally
    this.#tags = tags
    this.#keys = new Float64Array(keys).fill(-Infinity)
    this.#ofTags = new Float64Array(tags).fill(-Infinity)
    this.#running = new Int32Array(keys)
    this.#leased = new Int32Array(keys)
    this.#changes = new Int32Array(keys)
  }

  request (key: number): Request {
    this.#tally.count('requests')
    return { key, due: Math.max(this.#keys[key]!, this.#ofTags[key % this.#tags]!) }
  }

  /** Called when the client receives a response. */
  served ({ due }: Request, readAt: number): void {
    this.#tally.count('served')
    if (readAt < due) this.#tally.count('stale')
  }

  /** Called when an invalidation has taken effect. Runs that began before don't count as concurrent with later ones. */
  changedKey (key: number): void {
    this.#changes[key]!++
    this.#running[key] = this.#leased[key] = 0
  }

  changedTag (tag: number): void {
    for (let key = tag; key < this.#keys.length; key += this.#tags) this.changedKey(key)
  }

  acknowledgedKey (key: number, calledAt: number): void {
    this.#keys[key] = Math.max(this.#keys[key]!, calledAt)
  }

  acknowledgedTag (tag: number, calledAt: number): void {
    this.#ofTags[tag] = Math.max(this.#ofTags[tag]!, calledAt)
  }

  /** Called when a handler begins to run. Returns what to call when it has ended. */
  run (key: number, hasLease: boolean): () => void {
    const changes = this.#changes[key]
    const leased = hasLease ? 1 : 0
    this.#tally.count('runs')
    this.#tally.noteAtOnce(++this.#running[key]!, this.#leased[key]! += leased)
    return () => {
      if (this.#changes[key] !== changes) return
      this.#running[key]!--
      this.#leased[key]! -= leased
    }
  }
}
