// A subject that remembers: what a case opened through it is closed, what a case broke is mended.
import type { CacheBackend, MaybePromise } from '../../registry/backend.js'
import { outcomeOf } from './outcome.js'
import type { ConformanceSubject, Heal, Lent } from './subject.js'

export interface Tracked {
  readonly subject: ConformanceSubject
  /** Closes and mends, last things first. May be called again. Never rejects. */
  end (): Promise<void>
}

/** `given`, and how everything that is opened or broken through it is closed and mended. */
export function track (given: ConformanceSubject): Tracked {
  const ends: Array<() => unknown> = []

  const opening = (open: () => Promise<CacheBackend>) => async (): Promise<CacheBackend> => {
    const backend = await open()
    ends.push(() => backend.close())
    return backend
  }

  const lending = (lend: () => Promise<Lent>) => async (): Promise<Lent> => {
    const lent = await lend()
    ends.push(() => lent.release(), () => lent.backend.close())
    return lent
  }

  const breaking = (begin: () => MaybePromise<Heal>) => async (): Promise<Heal> => {
    const heal = await begin()
    let healed: Promise<void> | undefined
    const once = (): Promise<void> => { healed ??= (async () => heal())(); return healed }
    ends.push(once)
    return once
  }

  const { reopen, share, lend, hang, fail, garble, footprint, kill, jump, program, isOneStore, recoveryMs } = given
  return {
    subject: {
      open: opening(() => given.open()),
      now: () => given.now(),
      pass: (ms) => given.pass(ms),
      ...(isOneStore && { isOneStore }),
      ...(recoveryMs !== undefined && { recoveryMs }),
      ...(program && { program }),
      ...(reopen && { reopen: opening(() => reopen.call(given)) }),
      ...(share && { share: opening(() => share.call(given)) }),
      ...(lend && { lend: lending(() => lend.call(given)) }),
      ...(hang && { hang: breaking(() => hang.call(given)) }),
      ...(fail && { fail: breaking(() => fail.call(given)) }),
      ...(garble && { garble: breaking(() => garble.call(given)) }),
      ...(footprint && { footprint: () => footprint.call(given) }),
      ...(kill && { kill: () => kill.call(given) }),
      ...(jump && { jump: (ms: number) => jump.call(given, ms) })
    },
    async end () {
      // What fails here is the matter of the cases about close; it would hide why this one failed.
      for (const one of ends.splice(0).reverse()) await outcomeOf('the end of the case', one).catch(() => {})
    }
  }
}
