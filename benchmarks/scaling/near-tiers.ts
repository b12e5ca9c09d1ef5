// The near tiers of all processes: copies of entries and stamps in the memory of each process, and what the processes hear of changes.
import type { Agenda } from './agenda.js'
import type { Random } from './random.js'
import { HEARTBEAT_MS, PATIENCE_MS, RECONNECT_MS, type Traffic, type Way } from './settings.js'
import type { Entry, Stamp } from './store.js'
import type { Tally } from './tally.js'

interface Copy { readonly value: Entry | Stamp, readonly at: number, readonly until: number }

/** The state of what a process hears: everything; nothing, without knowing it; or nothing, and it uses no copies meanwhile. */
type Hearing = 'hears' | 'deaf' | 'lost'

interface Near {
  copies: Map<number, Copy>
  hearing: Hearing
  /** While it is deaf: for each place whose changes it has missed, the time of the last one that it has heard of. */
  readonly missed: Map<number, number>
}

export interface NearTiersParts {
  readonly agenda: Agenda
  readonly tally: Tally
  readonly random: Random
  readonly traffic: Traffic
  readonly way: Way
  readonly processes: number
}

export class NearTiers {
  readonly #parts: NearTiersParts
  readonly #near: readonly Near[]
  /** For each place, the time at which the processes heard of its last change. */
  readonly #heardAt: Float64Array

  constructor (parts: NearTiersParts) {
    this.#parts = parts
    this.#near = Array.from({ length: parts.processes }, () => ({ copies: new Map(), hearing: 'hears', missed: new Map() }))
    this.#heardAt = new Float64Array(parts.traffic.keys + parts.traffic.tags).fill(-Infinity)
  }

  /** Returns whether the process has a near tier that it may use. */
  isUsed (process: number): boolean {
    return this.#parts.way.nearTtlMs > 0 && this.#near[process]!.hearing !== 'lost'
  }

  /** Returns the copy in a place. The place of a stamp comes after those of all keys. */
  read (process: number, place: number): Entry | Stamp | undefined {
    if (!this.isUsed(process)) return undefined
    const near = this.#near[process]!
    const copy = near.copies.get(place)
    if (copy === undefined) return undefined
    const heardAt = near.missed.get(place) ?? this.#heardAt[place]!
    if (copy.until > this.#parts.agenda.now && copy.at > heardAt) return copy.value
    near.copies.delete(place)
    return undefined
  }

  /** Copies what was read from the store, or written by this process. A message about its own write does not concern its copy. */
  copy (process: number, place: number, value: Entry | Stamp, isOwn = false): void {
    if (!this.isUsed(process)) return
    const { agenda: { now }, way, traffic } = this.#parts
    const until = Math.min(now + way.nearTtlMs, 'expiresAt' in value ? value.expiresAt : Infinity)
    this.#near[process]!.copies.set(place, { value, until, at: isOwn && way.hears ? now + traffic.messageMs : now })
  }

  forget (process: number, place: number): void {
    this.#near[process]!.copies.delete(place)
  }

  /** Called when a process has changed what is stored. It drops its own copy at once; the others drop theirs when they hear of it. */
  changed (process: number, place: number): void {
    const { agenda, tally, traffic, way, processes } = this.#parts
    this.forget(process, place)
    if (!way.hears) return
    tally.count('message', processes)
    agenda.after(traffic.messageMs, () => {
      for (const { hearing, missed } of this.#near) {
        if (hearing === 'deaf' && !missed.has(place)) missed.set(place, this.#heardAt[place]!)
      }
      this.#heardAt[place] = agenda.now
    })
  }

  /** Called when the connections of all processes have ended. The processes know it at once. */
  loseAll (): void {
    if (this.#parts.way.hears) for (const near of this.#near) near.hearing = 'lost'
  }

  /** Called when the store is there again. Each process connects again after a moment, and then clears its copies. */
  regainAll (): void {
    if (!this.#parts.way.hears) return
    for (const near of this.#near) this.#regainLater(near)
  }

  /** Makes one process deaf. The heartbeat tells it after a while. */
  deafen (process: number): void {
    const near = this.#near[process]!
    if (near.hearing !== 'hears') return
    near.hearing = 'deaf'
    const { agenda, random } = this.#parts
    agenda.after(PATIENCE_MS + HEARTBEAT_MS * random.next(), () => {
      if (near.hearing !== 'deaf') return
      near.hearing = 'lost'
      this.#regainLater(near)
    })
  }

  #regainLater (near: Near): void {
    const { agenda, random } = this.#parts
    agenda.after(random.around(RECONNECT_MS, 1), () => {
      near.hearing = 'hears'
      near.copies = new Map()
      near.missed.clear()
    })
  }
}
