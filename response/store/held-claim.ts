// A claim that this process holds. It is settled exactly once: with an entry, or by giving it back.
import type { StoredEntry } from '../../registry/backend.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import type { BackendGuard } from './backend-guard.js'

export interface HeldClaimOptions {
  readonly key: string
  readonly token: string
  /** 0 if the claim has no lease, so that nobody waits for it. */
  readonly leaseMs: number
  readonly fillMs: number
  /** Called once, when the claim is settled or turns out to be lost. */
  readonly over: () => void
}

export class HeldClaim {
  readonly key: string
  readonly #guard: BackendGuard
  readonly #options: HeldClaimOptions
  #renewedAt = performance.now()
  #isOver = false

  constructor (guard: BackendGuard, options: HeldClaimOptions) {
    this.#guard = guard
    this.#options = options
    this.key = options.key
  }

  /**
   * Stores an entry in the background, if the claim is still valid. `unordered`: also if a later claim was settled. Resolves to whether the
   * entry was stored, or UNAVAILABLE if that is not known. Never rejects.
   */
  store (entry: StoredEntry, unordered = false): Promise<boolean | typeof UNAVAILABLE> {
    if (this.#isOver) return Promise.resolve(false)
    this.#end()
    return new Promise((resolve) => {
      const isTaken = this.#guard.writeBehind(this.key, entry, { token: this.#options.token, unordered, settled: resolve })
      if (isTaken) return
      this.#settle(0)
      resolve(UNAVAILABLE)
    })
  }

  /** Gives the claim back. For `aloneMs`, nobody waits for this key. May be called when the claim is settled already. */
  giveBack (aloneMs = 0): void {
    if (this.#isOver) return
    this.#end()
    if (this.#options.leaseMs > 0) this.#settle(aloneMs)
  }

  /** Returns whether nothing has made the claim invalid yet. If the backend does not respond, that counts as valid. */
  async isValid (): Promise<boolean> {
    return await this.#ask(0) !== false
  }

  /** Makes the lease last longer. If the claim is lost, does nothing more: others may create the entry now. */
  renew (): void {
    const { leaseMs, over } = this.#options
    if (performance.now() - this.#renewedAt < leaseMs / 3) return
    this.#renewedAt = performance.now()
    this.#guard.track(this.#ask(leaseMs).then((isOurs) => { if (isOurs === false) over() }))
  }

  /** Claims the key once more, with the token. Returns whether the claim stands, or UNAVAILABLE. */
  async #ask (leaseMs: number): Promise<boolean | typeof UNAVAILABLE> {
    const { key, token, fillMs } = this.#options
    const asked = { operation: 'claim', key, deadline: this.#guard.deadline() }
    return await this.#guard.ask(asked, (backend) => backend.claim!(key, { leaseMs, fillMs, token }),
      (claim) => (claim as { token?: unknown } | undefined)?.token === token)
  }

  #end (): void {
    this.#isOver = true
    this.#options.over()
  }

  #settle (aloneMs: number): void {
    const { key, token } = this.#options
    const asked = { operation: 'settle', key, deadline: this.#guard.deadline() }
    const settled = this.#guard.ask(asked, (backend) => backend.settle!(key, token, { aloneMs }), () => true)
    this.#guard.track(settled)
  }
}
