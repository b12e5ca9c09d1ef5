// Backends broken in one way each, by the name of the case of `faults` that has to notice it.
import { setImmediate as turn } from 'node:timers/promises'
import { ofMap, ofOpening, ofProgram, ofStore, type Broken, type StoreBreakage } from './broken.js'
import { storeBackend, type StoreGiven } from '../faulty-store.js'
import { mapBackend } from '../map-backend.js'
import { holdUp } from '../slow.js'
import type { StoredEntry } from '../../../registry/backend.js'
import type { Breakage } from './ways.js'

const HELD_UP_MS = 1_100
const ZOMBIE_MS = 60
const TURNS = 10

const never = new Promise<never>(() => {})

/** A failure is answered with `answer`. */
export const swallows = (
  method: 'get' | 'set' | 'delete' | 'has' | 'getMany' | 'keys' | 'clear', answer: unknown
): StoreBreakage => ({ correct }) => ({
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

/** A backend that was opened while the network failed never works. */
function isLostFromTheStart (given: StoreGiven): ReturnType<typeof storeBackend> {
  const correct = storeBackend(given)
  const fails = async (): Promise<never> => { throw new Error('it never connected') }
  return given.network.state === 'well' ? correct : { ...correct, get: fails, set: fails, delete: fails }
}

/** Reads what was opened, though it may be gone by now; `unless`: in its place something else is read. */
const readsWhatWasOpened = (
  unless: (found: StoredEntry | undefined) => boolean = () => false
): StoreBreakage => ({ correct, entries, now }) => ({
  async get (key) {
    const found = await correct.get(key)
    return unless(found) ? found : mapBackend(now, entries).get(key)
  }
})

/** To forget is written down first. */
export const needsRoom = (method: 'delete' | 'clear'): StoreBreakage => ({ correct, network }) => ({
  [method] (...args: [never]) {
    if (network.state === 'is full') throw new Error('there is no room')
    return correct[method](...args)
  }
})

/** A call waits for all sets that were called before it. */
const inOneQueue = (method: 'get' | 'delete' | 'clear'): StoreBreakage => ({ correct }) => {
  let sets: Promise<unknown> = Promise.resolve()
  return {
    set (key, entry) {
      const set = correct.set(key, entry)
      sets = Promise.allSettled([sets, set])
      return set
    },
    async [method] (...args: [never]) {
      await sets
      return await correct[method](...args)
    }
  }
}

const OWN_TIMEOUT_MS = 1_000

/** An answer takes a turn of the event loop, and a timer that is due comes before it. */
const ownTimeout = (method: 'get' | 'delete'): Breakage => ({ correct }) => ({
  async [method] (key: string) {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => { timer = setTimeout(() => reject(new Error('it timed out')), OWN_TIMEOUT_MS) })
    try {
      return await Promise.race([turn().then(turn).then(() => correct[method](key)), late])
    } finally {
      clearTimeout(timer)
    }
  }
})

export const brokenFaults: Readonly<Record<string, Broken>> = {
  'hang: close ends what waits for a store that hangs': ofStore(({ network, entries }) => ({
    get: (key) => network.call(() => entries.get(key))
  })),
  'hang: calls that wait for the store do not hold up the process': ofStore(({ correct, network }) => ({
    get (key) {
      if (network.state === 'hangs') holdUp(HELD_UP_MS)
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
  }),
  'jump: after a day ahead and back, what another backend of the store changes is seen': ofStore(({ correct, now }) => {
    const seen = new Map<string, { readonly entry: StoredEntry | undefined, readonly at: number }>()
    return {
      async get (key) {
        if (now() < (seen.get(key)?.at ?? 0)) return seen.get(key)?.entry
        seen.set(key, { entry: await correct.get(key), at: now() })
        return seen.get(key)?.entry
      }
    }
  }),

  'remove: what was removed is soon a miss': ofStore(readsWhatWasOpened()),
  'remove: what is set afterwards is in the store': ofStore(({ correct, entries, now }) => ({
    async set (key, entry) {
      await correct.has(key)
      mapBackend(now, entries).set(key, entry)
    }
  })),
  'remove: a backend that only reads soon finds what another one sets and deletes afterwards': ofStore(readsWhatWasOpened((found) =>
    found === undefined)),

  'loosen: each opening after a group was given rights on the store works as the first': ofOpening(async (given) => {
    if (given.isLoose === true) throw new Error('its mode is 770')
    return storeBackend(given)
  }),

  'fill: what was set before there was no room is read': ofStore(({ correct, network }) => ({
    async get (key) {
      const found = await correct.get(key)
      if (found !== undefined && network.state === 'is full') throw new Error('when it was used could not be written down')
      return found
    }
  })),
  'fill: a set without room is an error, or its entry is kept': ofStore(({ correct, network }) => ({
    async set (key, entry) { if (network.state !== 'is full') await correct.set(key, entry) }
  })),
  'fill: what is deleted without room is gone': ofStore(needsRoom('delete')),
  'fill: what is cleared without room is gone': ofStore(needsRoom('clear')),
  'fill: when there is room again, what is set is kept': ofStore(({ correct, network }) => {
    let isGivenUp = false
    return {
      set (key, entry) {
        isGivenUp ||= network.state === 'is full'
        if (isGivenUp) throw new Error('it was full')
        return correct.set(key, entry)
      }
    }
  }),

  'slow: a delete beside many sets is over in time': ofStore(inOneQueue('delete')),
  'slow: clear beside many sets is over in time': ofStore(inOneQueue('clear')),
  'slow: a get beside many sets is over in time': ofStore(inOneQueue('get')),

  'held up: calls that are under way while the process is held up, in the turn in which they are made, come to what they would have come to':
    ofMap(ownTimeout('get')),
  'held up: calls that are under way while the process is held up, in a later turn, come to what they would have come to':
    ofMap(ownTimeout('delete'))
}
