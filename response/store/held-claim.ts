// A claim that this process holds. It is settled exactly once: with an entry, or by giving it back.
import type { StoredEntry } from '../../registry/backend.js'
import { andThen } from '../../registry/maybe-promise.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import type { BackendGuard } from './backend-guard.js'

export interface HeldClaimOptions {
  readonly key: string
  readonly token: string
  /** 0 if the claim has no lease, so that nobody waits for it. */
  readonly leaseMs: number
  readonly fillMs: number
  /** For how long the lease is renewed at most. After that, nobody waits for this claim any more. */
  readonly renewedMs: number
  /** Called when this process no longer has the lease. */
  readonly over: () => void
  /** Called when an entry was refused, and this process was held up for so many milliseconds, which is longer than its lease. */
  readonly overtaken: (heldUpMs: number) => void
}

export class HeldClaim {
  readonly key: string
  readonly #guard: BackendGuard
  readonly #options: HeldClaimOptions
  readonly #heldAt = performance.now()
  #renewedAt = performance.now()
  /** The longest time for which the lease was not renewed. */
  #heldUpMs = 0
  /** Whether the claim has been settled, even if its entry still waits to be written. Its lease is renewed until that is done. */
  #isSettled = false
  #hasEndedLease = false

  constructor (guard: BackendGuard, options: HeldClaimOptions) {
    this.#guard = guard
    this.#options = options
    this.key = options.key
  }

  /**
   * Stores an entry in the background, if the claim is still valid. Resolves to whether the entry was stored, or UNAVAILABLE if that is not
   * known. Never rejects.
   */
  async store (entry: StoredEntry): Promise<boolean | typeof UNAVAILABLE> {
    if (this.#isSettled) return false
    this.#isSettled = true
    return await this.#settle(entry)
  }

  /** Does the same, but only in place of the entry with this `expiresAt`, or with 0, if there is none. May be called several times. */
  async replace (replaces: number, entry: StoredEntry): Promise<boolean | typeof UNAVAILABLE> {
    return await this.#settle(entry, replaces)
  }

  /** Gives the claim back. For `aloneMs`, nobody waits for this key. May be called when the claim is settled already. */
  giveBack (aloneMs = 0): void {
    if (this.#isSettled) return
    this.#isSettled = true
    if (this.#options.leaseMs > 0) this.#endLease(aloneMs)
  }

  /** Returns whether nothing has made the claim invalid yet. If the backend does not respond, that counts as valid. */
  async isValid (): Promise<boolean> {
    return await this.#ask(0) !== false
  }

  /**
   * Makes the lease last longer, unless that was done a moment ago. If the lease is lost, or was renewed long enough, others may create the
   * entry now. This claim can still be settled with an entry, if no other is.
   */
  renew (): void {
    const { leaseMs, renewedMs, over } = this.#options
    const at = performance.now()
    if (this.#hasEndedLease || at - this.#renewedAt < leaseMs / 3) return
    this.#noteHeldUp(at)
    this.#renewedAt = at
    if (at - this.#heldAt >= renewedMs) return this.#isSettled ? undefined : this.#endLease()
    this.#guard.track(this.#ask(leaseMs).then((isOurs) => { if (isOurs === false) over() }))
  }

  /** Claims the key once more, with the token. Returns whether the claim stands, or UNAVAILABLE. */
  async #ask (leaseMs: number): Promise<boolean | typeof UNAVAILABLE> {
    const { key, token, fillMs } = this.#options
    const asked = { operation: 'claim', key, deadline: this.#guard.deadline() }
    return await this.#guard.ask(asked, (backend) => backend.claim!(key, { leaseMs, fillMs, token }),
      (claim) => (claim as { token?: unknown } | undefined)?.token === token)
  }

  #settle (entry: StoredEntry, replaces?: number): Promise<boolean | typeof UNAVAILABLE> {
    const { token, leaseMs, over, overtaken } = this.#options
    this.#noteHeldUp(performance.now())
    return new Promise((resolve) => {
      const settled = (outcome: boolean | typeof UNAVAILABLE): void => {
        over()
        if (outcome === false && leaseMs > 0 && this.#heldUpMs > leaseMs) overtaken(Math.round(this.#heldUpMs))
        resolve(outcome)
      }
      if (this.#guard.writeBehind(this.key, entry, { token, replaces, settled })) return
      this.#endLease()
      resolve(UNAVAILABLE)
    })
  }

  #noteHeldUp (at: number): void {
    this.#heldUpMs = Math.max(this.#heldUpMs, at - this.#renewedAt)
  }

  #endLease (aloneMs = 0): void {
    this.#hasEndedLease = true
    const { key, token, over } = this.#options
    const asked = { operation: 'settle', key, deadline: this.#guard.deadline() }
    this.#guard.track(andThen(this.#guard.ask(asked, (backend) => backend.settle!(key, token, { aloneMs }), () => true), over))
  }
}
