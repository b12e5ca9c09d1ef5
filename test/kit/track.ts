// Records which backends a case opens and which faults it begins, so that these backends can be closed and these faults ended.
import type { CacheBackend, MaybePromise } from '../../registry/backend.js'
import { outcomeOf } from './outcome.js'
import type { ConformanceSubject, Heal, Lent } from './subject.js'

/** Records the backends that a case opens and the faults that it begins, and ends both. */
export class Tracked {
  /** The subject for the case. It works like the given one, but records what is opened and begun through it. */
  readonly subject: ConformanceSubject
  readonly #ends: Array<() => unknown> = []

  constructor (given: ConformanceSubject) {
    const {
      reopen, share, lend, hang, fail, garble, footprint, kill, jump, remove, loosen, fill, cramped, slow, program, isOneStore,
      recoveryMs, patience
    } = given
    this.subject = {
      open: this.#opening(() => given.open()),
      now: () => given.now(),
      pass: (ms) => given.pass(ms),
      ...(isOneStore && { isOneStore }),
      ...(recoveryMs !== undefined && { recoveryMs }),
      ...(patience !== undefined && { patience }),
      ...(program && { program }),
      ...(reopen && { reopen: this.#opening(() => reopen.call(given)) }),
      ...(share && { share: this.#opening(() => share.call(given)) }),
      ...(lend && { lend: this.#lending(() => lend.call(given)) }),
      ...(hang && { hang: this.#breaking(() => hang.call(given)) }),
      ...(fail && { fail: this.#breaking(() => fail.call(given)) }),
      ...(garble && { garble: this.#breaking(() => garble.call(given)) }),
      ...(footprint && { footprint: () => footprint.call(given) }),
      ...(kill && { kill: () => kill.call(given) }),
      ...(jump && { jump: (ms: number) => jump.call(given, ms) }),
      ...(remove && { remove: () => remove.call(given) }),
      ...(loosen && { loosen: () => loosen.call(given) }),
      ...(fill && { fill: this.#breaking(() => fill.call(given)) }),
      ...(cramped && { cramped: this.#opening(() => cramped.call(given)) }),
      ...(slow && { slow: this.#breaking(() => slow.call(given)) })
    }
  }

  /** Closes all backends and ends all faults, the latest first. May be called again. Never rejects. */
  async end (): Promise<void> {
    // Failures are ignored, because they would hide why the case failed. The cases about close look for such failures.
    for (const end of this.#ends.splice(0).reverse()) await outcomeOf('the end of the case', end).catch(() => {})
  }

  #opening (open: () => Promise<CacheBackend>): () => Promise<CacheBackend> {
    return async () => {
      const backend = await open()
      this.#ends.push(() => backend.close())
      return backend
    }
  }

  #lending (lend: () => Promise<Lent>): () => Promise<Lent> {
    return async () => {
      const lent = await lend()
      this.#ends.push(() => lent.release(), () => lent.backend.close())
      return lent
    }
  }

  #breaking (begin: () => MaybePromise<Heal>): () => Promise<Heal> {
    return async () => {
      const heal = await begin()
      let healed: Promise<void> | undefined
      const once = (): Promise<void> => { healed ??= (async () => heal())(); return healed }
      this.#ends.push(once)
      return once
    }
  }
}
