// Claims: of all processes that share a store, one creates an entry at a time, and its entry is stored only if nothing has made it invalid.
import { setTimeout as sleep } from 'node:timers/promises'
import type { MaybePromise, StoredEntry } from '../../registry/backend.js'
import type { Deadline } from '../../registry/deadline.js'
import { andThen } from '../../registry/maybe-promise.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import type { ThrottledLog } from '../observe/log.js'
import { noClaims, type ClaimStats } from '../observe/observer.js'
import { readableKey } from '../observe/readable-key.js'
import type { BackendGuard } from './backend-guard.js'
import { HeldClaim } from './held-claim.js'

/** How long an entry may be stored after its key was claimed. A handler that takes longer produces a response that is not stored. */
const FILL_MS = 600_000

/**
 * The pauses before a key that is busy is claimed again, in milliseconds. The last one is repeated. Asking a store in this process costs
 * next to nothing; asking a server costs a round trip.
 */
const PAUSES_HERE_MS = [2, 4, 8, 10]
const PAUSES_AWAY_MS = [10, 20, 40, 80, 100]
/** Varies the pauses, so that processes don't ask at the same time. */
const JITTER = 0.5

/** A key to be claimed, and the `expiresAt` of the entry that was found under it; undefined if none was found. */
export interface Wanted { readonly key: string, readonly seen: number | undefined }

/**
 * The outcome of a claim: it is held, or another process was quicker and has stored an entry, or another process has the lease (for so many
 * milliseconds), or the backend does not respond.
 */
export type Claimed =
  | { readonly held: HeldClaim }
  | { readonly quicker: StoredEntry }
  | { readonly busyMs: number }
  | typeof UNAVAILABLE

/** The outcome of waiting for a claim. `timeout`: another process had the lease all the time. */
export type Obtained = Exclude<Claimed, { readonly busyMs: number }> | 'timeout'

export interface ClaimsOptions {
  readonly guard: BackendGuard
  readonly log: ThrottledLog
  /** How long a claim lasts without being renewed: after this time, another process may take the place of one that has died. */
  readonly leaseMs: number
  readonly lockTimeoutMs: number
}

export class Claims {
  readonly stats: ClaimStats = noClaims()
  readonly #guard: BackendGuard
  readonly #log: ThrottledLog
  readonly #leaseMs: number
  readonly #lockTimeoutMs: number
  /** The claims that have leases, which have to be renewed until they are settled, and the number of them for each key. */
  readonly #leases = new Set<HeldClaim>()
  readonly #keys = new Map<string, number>()
  #renewals: NodeJS.Timeout | undefined

  constructor ({ guard, log, leaseMs, lockTimeoutMs }: ClaimsOptions) {
    this.#guard = guard
    this.#log = log
    this.#leaseMs = leaseMs
    this.#lockTimeoutMs = lockTimeoutMs
  }

  /**
   * Claims a key. With `isAlone`, also if another process has the lease, and nobody waits for this one. Returns a promise only if the
   * backend does. Never rejects.
   */
  claim ({ key, seen }: Wanted, deadline: Deadline, isAlone = false): MaybePromise<Claimed> {
    const leaseMs = isAlone ? 0 : this.#leaseMs
    // Nobody would settle a claim that is granted after the deadline, and others would wait for its lease.
    const late = (claim: unknown): void => {
      const { token } = (claim ?? {}) as { token?: unknown }
      if (typeof token === 'string') this.#held(key, token, leaseMs).giveBack()
    }
    return this.#guard.ask({ operation: 'claim', key, deadline, late },
      (backend) => backend.claim!(key, { leaseMs, fillMs: FILL_MS, seen }), (claim) => this.#claimed(key, claim, leaseMs))
  }

  /**
   * Claims a key, and waits while another process has the lease, for at most the lock timeout since `since` (on the clock of
   * `performance.now()`). Returns a promise only if the backend does, or if there is something to wait for. Never rejects.
   */
  obtain (wanted: Wanted, deadline: Deadline, since: number): MaybePromise<Obtained> {
    const claimed = this.claim(wanted, deadline)
    const pauses = claimed instanceof Promise ? PAUSES_AWAY_MS : PAUSES_HERE_MS
    return andThen(claimed, (first) => isBusy(first) ? this.#await(wanted, first.busyMs, { deadline, since, pauses }) : first)
  }

  /** Returns whether this process has the lease of a key. It never waits for itself. */
  hasLease (key: string): boolean {
    return this.#keys.has(key)
  }

  /** Stops renewing, and gives all leases back. Otherwise, other processes would wait for producers that go on after the close. */
  close (): void {
    clearTimeout(this.#renewals)
    for (const held of [...this.#leases]) held.giveBack()
    this.#leases.clear()
  }

  async #await (
    wanted: Wanted, busyMs: number, { deadline, since, pauses }: { deadline: Deadline, since: number, pauses: readonly number[] }
  ): Promise<Obtained> {
    this.stats.busy++
    const began = performance.now()
    try {
      return await this.#ask(wanted, busyMs, { since, pauses })
    } finally {
      // The store was not what took so long.
      deadline.extend(performance.now() - began)
    }
  }

  async #ask (wanted: Wanted, busyMs: number, { since, pauses }: { since: number, pauses: readonly number[] }): Promise<Obtained> {
    for (let time = 0, restMs = busyMs; ; time++) {
      if (performance.now() - since >= this.#lockTimeoutMs) {
        this.stats.timeouts++
        return 'timeout'
      }
      const pauseMs = pauses[Math.min(time, pauses.length - 1)]! * (1 + JITTER * (Math.random() - 0.5))
      await sleep(Math.max(Math.min(pauseMs, restMs), 1))
      const claimed = await this.claim(wanted, this.#guard.deadline())
      if (!isBusy(claimed)) return claimed
      restMs = claimed.busyMs
    }
  }

  #claimed (key: string, claim: unknown, leaseMs: number): Claimed {
    const { token, entry, busyMs } = (claim ?? {}) as { token?: unknown, entry?: StoredEntry, busyMs?: unknown }
    if (typeof token === 'string') return { held: this.#held(key, token, leaseMs) }
    if (entry?.value instanceof Uint8Array && typeof entry.expiresAt === 'number') return { quicker: entry }
    if (typeof busyMs === 'number') return { busyMs }
    throw new TypeError('the result is not a claim')
  }

  #held (key: string, token: string, leaseMs: number): HeldClaim {
    const held: HeldClaim = new HeldClaim(this.#guard, {
      key,
      token,
      leaseMs,
      fillMs: FILL_MS,
      renewedMs: this.#lockTimeoutMs,
      over: () => { this.#over(held) },
      overtaken: (heldUpMs) => this.#log.warn('lease', { ...readableKey(key), heldUpMs, leaseMs },
        'cache: this process was held up for longer than its lease, and was overtaken; what it wanted to store is not stored')
    })
    if (leaseMs === 0) return held
    this.stats.granted++
    this.#leases.add(held)
    this.#keys.set(key, (this.#keys.get(key) ?? 0) + 1)
    this.#renewals ??= this.#renewLater()
    return held
  }

  /** May be called twice. */
  #over (held: HeldClaim): void {
    if (!this.#leases.delete(held)) return
    const left = (this.#keys.get(held.key) ?? 0) - 1
    if (left > 0) this.#keys.set(held.key, left)
    else this.#keys.delete(held.key)
  }

  /** Renews all leases after a third of their time, and goes on while there are any. */
  #renewLater (): NodeJS.Timeout {
    return setTimeout(() => {
      for (const held of this.#leases) held.renew()
      this.#renewals = this.#leases.size > 0 ? this.#renewLater() : undefined
    }, this.#leaseMs / 3).unref()
  }
}

/** Gives a claim back, if it is one. */
export function giveBack (claimed: Claimed): void {
  if (claimed !== UNAVAILABLE && 'held' in claimed) claimed.held.giveBack()
}

function isBusy (claimed: Claimed): claimed is { readonly busyMs: number } {
  return claimed !== UNAVAILABLE && 'busyMs' in claimed
}
