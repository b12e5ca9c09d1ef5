// Backends broken in one way each, by the name of the case of `faults` that has to notice it.
import { ofOpening, ofProgram, ofStore, type Broken, type StoreBreakage } from './broken.js'
import { storeBackend, type StoreGiven } from '../faulty-store.js'
import type { StoredEntry } from '../../../registry/backend.js'

const HELD_UP_MS = 1_100
const ZOMBIE_MS = 60
const TURNS = 10

const never = new Promise<never>(() => {})

/** A failure is answered with `answer`. */
export const swallows = (method: 'get' | 'set' | 'delete' | 'has' | 'getMany' | 'keys' | 'clear', answer: unknown): StoreBreakage => ({ correct }) => ({
  [method]: (...args: [never, never]) => (correct[method] as (...args: unknown[]) => Promise<unknown>)(...args).catch(() => answer)
})

/** Once the network was in this state, nothing works any more. */
export const isLostWhen = (state: 'hangs' | 'fails'): StoreBreakage => ({ correct, network }) => {
  let lost = false
  const unlessLost = <T> (call: () => T): T => {
    lost ||= network.state === state
    if (lost) throw new Error('the connection is lost')
    return call()
  }
  return {
    get: (key) => unlessLost(() => correct.get(key)),
    set: (key, entry) => unlessLost(() => correct.set(key, entry)),
    delete: (key) => unlessLost(() => correct.delete(key))
  }
}

export const isGarbage = (entry: StoredEntry | undefined): boolean => entry !== undefined && !(entry.value instanceof Uint8Array)

/** A method stumbles over what is damaged. */
export const stumblesIn = (method: 'set' | 'delete' | 'clear' | 'close'): StoreBreakage => ({ correct, entries }) => ({
  [method] (...args: [never, never]) {
    if ([...entries.values()].some(isGarbage)) throw new SyntaxError('Unexpected token')
    return correct[method](...args)
  }
})

/** Values are written in two halves, with some turns between. */
export const inHalves: StoreBreakage = ({ correct, entries }) => ({
  async set (key, entry) {
    entries.set(key, { ...entry, value: entry.value.subarray(0, entry.value.byteLength >> 1) })
    for (let turn = 0; turn < TURNS; turn++) await null
    await correct.set(key, entry)
  }
})

function holdUp (): void {
  const endsAt = performance.now() + HELD_UP_MS
  while (performance.now() < endsAt);
}

/** A backend that was opened while the network failed never works. */
function isLostFromTheStart (given: StoreGiven): ReturnType<typeof storeBackend> {
  const correct = storeBackend(given)
  const fails = async (): Promise<never> => { throw new Error('it never connected') }
  return given.network.state === 'well' ? correct : { ...correct, get: fails, set: fails, delete: fails }
}

export const brokenFaults: Readonly<Record<string, Broken>> = {
  'hang: close ends what waits for a store that hangs': ofStore(({ network, entries }) => ({ get: (key) => network.call(() => entries.get(key)) })),
  'hang: calls that wait for the store do not hold up the process': ofStore(({ correct, network }) => ({
    get (key) {
      if (network.state === 'hangs') holdUp()
      return correct.get(key)
    }
  })),
  'hang: a set that waited does not come to pass after a later delete': ofStore(({ correct, network, entries }) => ({
    set (key, entry) {
      if (network.state === 'well') return correct.set(key, entry)
      setTimeout(() => entries.set(key, entry), ZOMBIE_MS)
      throw new Error('it timed out')
    }
  })),
  'hang: when the store goes on, so does the backend': ofStore(isLostWhen('hangs')),
  'hang: opening ends in time': ofOpening(async (given) => await given.network.call(() => storeBackend(given))),

  'fail: a get is an error and not a miss': ofStore(swallows('get', undefined)),
  'fail: a set is an error': ofStore(swallows('set', undefined)),
  'fail: a delete is an error': ofStore(swallows('delete', undefined)),
  'fail: has is an error': ofStore(swallows('has', false)),
  'fail: getMany is an error': ofStore(swallows('getMany', [undefined])),
  'fail: keys is an error': ofStore(swallows('keys', [])),
  'fail: clear is an error': ofStore(swallows('clear', undefined)),
  'fail: close settles': ofStore(({ correct, network }) => ({ close: () => network.state === 'fails' ? never : correct.close() })),
  'fail: when the store works again, so does the backend': ofStore(isLostWhen('fails')),
  'fail: opening ends in time, and what it opened works when the store does': ofOpening(async (given) => isLostFromTheStart(given)),
  'fail: a failure is told to the caller and to nobody else': ofStore(({ correct, network }) => ({
    get (key) {
      if (network.state === 'fails') Promise.reject(new Error('nobody waits for this'))
      return correct.get(key)
    }
  })),

  'garble: a get answers an entry, a miss or an error, and nothing else': ofStore(({ entries }) => ({ get: (key) => entries.get(key) })),
  'garble: a key whose entry was damaged can be set again': ofStore(stumblesIn('set')),
  'garble: a key whose entry was damaged can be deleted': ofStore(stumblesIn('delete')),
  'garble: clear forgets damaged entries too, and stops at none': ofStore(stumblesIn('clear')),
  'garble: close settles': ofStore(stumblesIn('close')),

  'kill: of a process that is killed while it writes, each value is whole or a miss': ofProgram('halved'),
  'kill: what a process had set before it was killed is there': ofProgram('late'),
  'kill: when the store is killed in the middle of sets, they end, and each value is whole or a miss': ofStore(inHalves),

  'jump: a clock that is set on by a day ends what is over by it': ofStore(({ entries }) => ({ get: (key) => entries.get(key) })),
  'jump: a clock that is set back by an hour ends nothing early and prolongs nothing': ofStore(({ correct, now }) => {
    const setAt = new Map<string, number>()
    return {
      set (key, entry) {
        setAt.set(key, now())
        return correct.set(key, entry)
      },
      get: (key) => setAt.get(key)! > now() ? undefined : correct.get(key)
    }
  }),
  'jump: after a day ahead and back, entries are kept as before': ofStore(({ entries, now }) => {
    let latest = 0
    return {
      get (key) {
        latest = Math.max(latest, now())
        return entries.get(key)!.expiresAt > latest ? entries.get(key) : undefined
      }
    }
  })
}
