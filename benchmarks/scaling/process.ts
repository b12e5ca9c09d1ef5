// One process of the simulation. It looks requests up, collapses them, waits for its turn, runs handlers and stores responses.
import { Pause } from './pause.js'
import { LEASE_MS, LOCK_TIMEOUT_MS, PAUSE_JITTER, PAUSES_MS } from './settings.js'
import { AWAY, type Entry, type Stamp, type Token } from './store.js'
import { Unconfirmed } from './unconfirmed.js'
import type { Request, World } from './world.js'

/** The work for one key, and the requests that wait for its outcome. */
interface Flight {
  readonly key: number
  readonly since: number
  readonly waiting: Request[]
  /** Whether this process has invalidated the key since the flight began, so that later requests don't join it. */
  isClosed: boolean
  /** Whether this process has invalidated the key since the handler began to run. */
  isOutdated: boolean
}

/** What a handler needs to have its response stored: undefined if the backend has no claims. */
interface Right { readonly token: Token, readonly version: number, hasLease: boolean }

/** What a lookup found: a current entry; or one that can't be used, of which only the expiry time matters; or nothing. */
interface Found { readonly entry?: Entry, readonly seen?: number, readonly isAway?: boolean }

export class Process {
  readonly #id: number
  readonly #world: World
  readonly #pause: Pause
  /** The flights of each key. Requests join the last one. */
  readonly #flights = new Map<number, Flight[]>()
  /** The keys whose leases this process has. It never waits for itself. */
  readonly #leases = new Map<number, number>()
  readonly #unconfirmed: Unconfirmed
  /** Whether a change that the store did not confirm is kept in a near tier, and is tried again. */
  readonly #triesAgain: boolean
  #seeds = 0

  constructor (id: number, world: World) {
    this.#id = id
    this.#world = world
    const { agenda, random, store, traffic: { keys }, way } = world
    this.#triesAgain = way.nearTtlMs > 0 && !way.hears
    this.#pause = new Pause(() => agenda.now, random, this.#triesAgain)
    this.#unconfirmed = new Unconfirmed(agenda, {
      isWell: () => this.#pause.isWell,
      remove: (place) => this.#ask(() => place < keys ? store.remove(place) : store.removeStamp(place - keys)) !== AWAY
    })
  }

  handle (request: Request): void {
    const { key } = request
    const { agenda, traffic, truth } = this.#world
    const found = this.#find(key)
    if (found.entry !== undefined) return truth.served(request, found.entry.readAt)
    const flights = this.#flights.get(key) ?? []
    const last = flights.at(-1)
    if (last?.isClosed === false) {
      last.waiting.push(request)
      return
    }
    const flight = { key, since: agenda.now, waiting: [request], isClosed: false, isOutdated: false }
    this.#flights.set(key, [...flights, flight])
    agenda.after(traffic.roundTripMs, () => this.#lead(flight, found))
  }

  /** Deletes an entry. The process that does it notices at once; a fill that began before does not store its response. */
  invalidateKey (key: number): void {
    const { agenda: { now }, store, traffic, truth } = this.#world
    this.#fence((other) => other === key)
    if (this.#ask(() => store.remove(key)) === AWAY) return this.#unsettled(key)
    this.#confirmed(key)
    truth.changedKey(key)
    this.#world.agenda.after(traffic.roundTripMs, () => truth.acknowledgedKey(key, now))
  }

  /** Writes a new stamp. The number of the invalidation is raised before. */
  invalidateTag (tag: number): void {
    const { agenda, near, store, traffic: { keys, tags, roundTripMs }, truth, way } = this.#world
    const calledAt = agenda.now
    const version = way.hasClaims ? this.#ask(() => store.version(true)) : 0
    if (version === AWAY) return
    agenda.after(way.hasClaims ? roundTripMs : 0, () => {
      this.#fence((key) => key % tags === tag)
      const stamp = this.#ask(() => store.renewStamp(tag, version))
      if (stamp === AWAY) return this.#unsettled(keys + tag)
      this.#confirmed(keys + tag)
      near.copy(this.#id, keys + tag, stamp, true)
      truth.changedTag(tag)
      agenda.after(roundTripMs, () => truth.acknowledgedTag(tag, calledAt))
    })
  }

  #fence (concerns: (key: number) => boolean): void {
    for (const [key, flights] of this.#flights) {
      if (concerns(key)) for (const flight of flights) flight.isClosed = flight.isOutdated = true
    }
  }

  #confirmed (place: number): void {
    this.#unconfirmed.forget(place)
    this.#world.near.changed(this.#id, place)
  }

  /** Called when the store did not confirm a change. */
  #unsettled (place: number): void {
    if (!this.#triesAgain) return
    this.#world.near.forget(this.#id, place)
    this.#unconfirmed.note(place)
  }

  /** Calls the store, unless it has failed so often that it is left alone for a while. */
  #ask<T> (call: () => T): T | typeof AWAY {
    if (!this.#pause.admits()) return AWAY
    if (this.#world.store.isAway) {
      this.#pause.failed()
      return AWAY
    }
    this.#pause.succeeded()
    return call()
  }

  #find (key: number): Found {
    const { near, store, traffic: { tags } } = this.#world
    let entry = near.read(this.#id, key) as Entry | undefined | typeof AWAY
    if (entry === undefined) {
      if (this.#unconfirmed.has(key)) return {}
      entry = this.#ask(() => store.get(key))
      if (entry !== AWAY && entry !== undefined) near.copy(this.#id, key, entry)
    }
    // A near tier has answered that it has no entry. So this is a miss, and its response is kept there.
    if (entry === AWAY) return { isAway: !near.isUsed(this.#id) }
    if (entry === undefined) return {}
    const stamp = this.#stamp(key % tags, 1)
    if (stamp === AWAY) return { isAway: true }
    return stamp?.id === entry.stamp ? { entry } : { seen: entry.expiresAt }
  }

  /** Returns the stamp of a tag, if there is one. A hit reads one of its stamps, a fill both. */
  #stamp (tag: number, reads: number): Stamp | undefined | typeof AWAY {
    const { near, store, traffic: { keys } } = this.#world
    const copy = near.read(this.#id, keys + tag) as Stamp | undefined
    if (copy !== undefined) return copy
    const there = this.#unconfirmed.has(keys + tag) ? undefined : this.#ask(() => store.stamp(tag, reads))
    if (there === AWAY) return this.#triesAgain ? undefined : AWAY
    if (there !== undefined) near.copy(this.#id, keys + tag, there)
    return there
  }

  /** Writes the first stamp of a tag. If a near tier keeps it, it counts although the store has not confirmed it. */
  #firstStamp (tag: number): Stamp | typeof AWAY {
    const { near, store, traffic: { keys } } = this.#world
    const written = this.#ask(() => store.renewStamp(tag, 0))
    if (written === AWAY && !this.#triesAgain) return AWAY
    if (written === AWAY) this.#unsettled(keys + tag)
    else this.#unconfirmed.forget(keys + tag)
    const stamp = written === AWAY ? { id: -(++this.#seeds * 1_000 + this.#id), version: 0 } : written
    near.copy(this.#id, keys + tag, stamp)
    return stamp
  }

  /** Waits for the turn of a flight, if other processes may fill the same key. Then runs the handler. */
  #lead (flight: Flight, { seen, isAway }: Found): void {
    if (isAway === true || !this.#world.way.hasClaims) return this.#run(flight, undefined, isAway !== true)
    this.#claim(flight, seen, 0)
  }

  #claim (flight: Flight, seen: number | undefined, time: number): void {
    const { agenda, random, store, traffic: { roundTripMs } } = this.#world
    const { key, since } = flight
    const leaseMs = this.#leases.has(key) ? 0 : LEASE_MS
    const claimed = this.#ask(() => store.claim(key, { leaseMs, seen }))
    if (claimed === AWAY) return this.#run(flight, undefined, false)
    if ('busyMs' in claimed) {
      if (agenda.now - since >= LOCK_TIMEOUT_MS) return this.#run(flight, undefined, false)
      const pauseMs = random.around(PAUSES_MS[Math.min(time, PAUSES_MS.length - 1)]!, PAUSE_JITTER)
      return agenda.after(roundTripMs + Math.max(Math.min(pauseMs, claimed.busyMs), 1), () => this.#claim(flight, seen, time + 1))
    }
    if ('entry' in claimed) return agenda.after(roundTripMs, () => this.#lookAgain(flight, claimed.entry.expiresAt))
    const version = store.version(false)
    const right = { token: claimed.token, version, hasLease: leaseMs > 0 }
    if (right.hasLease) this.#leases.set(key, (this.#leases.get(key) ?? 0) + 1)
    agenda.after(roundTripMs, () => this.#run(flight, right, true))
  }

  /** Another process has stored something. If it is current, it is given to all requests that wait here. */
  #lookAgain (flight: Flight, seen: number): void {
    const { entry } = this.#find(flight.key)
    if (entry === undefined) return this.#claim(flight, seen, 0)
    this.#share(flight, entry.readAt)
  }

  #run (flight: Flight, right: Right | undefined, mayStore: boolean): void {
    const { agenda, random, traffic: { handlerMs, oneSlowIn, slowHandlerMs }, truth } = this.#world
    const { key } = flight
    flight.isOutdated = false
    const readAt = agenda.now
    const ended = truth.run(key, right?.hasLease === true)
    const isSlow = random.next() * oneSlowIn < 1
    const tookMs = random.around(isSlow ? slowHandlerMs : handlerMs, 1)
    agenda.after(tookMs, () => {
      ended()
      this.#ended(flight, readAt, right, mayStore)
    })
    if (right?.hasLease === true) this.#renewLater(key, right, readAt + tookMs)
  }

  #renewLater (key: number, right: Right, until: number): void {
    const { agenda, store } = this.#world
    if (agenda.now + LEASE_MS / 3 >= until) return
    agenda.after(LEASE_MS / 3, () => {
      if (!right.hasLease) return
      const isOurs = this.#ask(() => store.renew(key, right.token, LEASE_MS))
      if (isOurs === false) this.#giveUp(key, right)
      else this.#renewLater(key, right, until)
    })
  }

  #giveUp (key: number, right: Right): void {
    if (!right.hasLease) return
    right.hasLease = false
    const left = this.#leases.get(key)! - 1
    if (left > 0) this.#leases.set(key, left)
    else this.#leases.delete(key)
  }

  /** Stores a response if it may be stored, and gives it to those who wait, unless it was invalidated before they came. */
  #ended (flight: Flight, readAt: number, right: Right | undefined, mayStore: boolean): void {
    const { key } = flight
    const stored = mayStore ? this.#store(flight, readAt, right) : 'unknown'
    if (right !== undefined) this.#giveUp(key, right)
    if (stored === 'refused') this.#world.tally.count('notStored')
    // The first request began the fill, and came before whatever has invalidated the response. With claims, the others look again.
    const others = stored === 'refused' && right !== undefined ? flight.waiting.splice(1) : []
    this.#share(flight, readAt)
    for (const request of others) this.handle(request)
  }

  #store (flight: Flight, readAt: number, right: Right | undefined): 'stored' | 'refused' | 'unknown' {
    const { agenda: { now }, near, store, traffic: { tags, ttlMs } } = this.#world
    const { key } = flight
    const there = flight.isOutdated ? AWAY : this.#stamp(key % tags, 2)
    const stamp = there ?? this.#firstStamp(key % tags)
    if (flight.isOutdated || (right !== undefined && stamp !== AWAY && this.#versionOf(there, stamp) > right.version)) {
      if (right !== undefined) this.#ask(() => store.release(key, right.token))
      return 'refused'
    }
    if (stamp === AWAY) return 'unknown'
    const entry = { readAt, stamp: stamp.id, expiresAt: now + ttlMs }
    const isStored = this.#ask(() => right === undefined ? store.set(key, entry) : store.settle(key, right.token, entry))
    if (isStored === false) return 'refused'
    if (isStored === AWAY && !this.#triesAgain) return 'unknown'
    // If the last tier does not confirm an entry, the process still serves it from its near tier.
    if (isStored === AWAY) this.#unsettled(key)
    else this.#confirmed(key)
    near.copy(this.#id, key, entry, true)
    return isStored === AWAY ? 'unknown' : 'stored'
  }

  /** Returns the number of the last invalidation of a tag. If its stamp was lost, that may have been any invalidation. */
  #versionOf (there: Stamp | undefined | typeof AWAY, stamp: Stamp): number {
    if (there !== undefined) return stamp.version
    const last = this.#ask(() => this.#world.store.version(false))
    return last === AWAY ? Infinity : last
  }

  #share (flight: Flight, readAt: number): void {
    const left = this.#flights.get(flight.key)!.filter((other) => other !== flight)
    if (left.length > 0) this.#flights.set(flight.key, left)
    else this.#flights.delete(flight.key)
    for (const request of flight.waiting) this.#world.truth.served(request, readAt)
  }
}
