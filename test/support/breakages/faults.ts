// Broken backends by the name of the case of `faults` that must find what is broken.
import { setImmediate as turn } from 'node:timers/promises'
import { ofMap, ofOpening, ofProgram, ofStore, type Broken, type StoreBreakage } from './broken.js'
import { storeBackend, type StoreGiven } from '../faulty-store.js'
import { mapBackend } from '../map-backend.js'
import { holdUp } from '../slow.js'
import type { StoredEntry } from '../../../registry/backend.js'
import type { Breakage } from './ways.js'

const BLOCKED_MS = 1_100
const ZOMBIE_MS = 60
const TURNS = 10

const never = new Promise<never>(() => {})

/** The method returns `result` if the store fails. */
export const swallows = (
  method: 'get' | 'set' | 'delete' | 'has' | 'getMany' | 'keys' | 'clear', result: unknown
): StoreBreakage => ({ correct }) => ({
  [method]: (...args: [never, never]) => (correct[method] as (...args: unknown[]) => Promise<unknown>)(...args).catch(() => result)
})

/** Nothing works any more once the network was in this state. */
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

/** The method fails if there is a damaged entry. */
export const failsOnGarbageIn = (method: 'set' | 'delete' | 'clear' | 'close'): StoreBreakage => ({ correct, entries }) => ({
  [method] (...args: [never, never]) {
    if ([...entries.values()].some(isGarbage)) throw new SyntaxError('Unexpected token')
    return correct[method](...args)
  }
})

/** Values are written in two halves, with some turns between them. */
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

/** Reads the store that was opened, even after it was removed, unless `unless` holds for what is in the present store. */
const readsOpenedStore = (
  unless: (found: StoredEntry | undefined) => boolean = () => false
): StoreBreakage => ({ correct, entries, now }) => ({
  async get (key) {
    const found = await correct.get(key)
    return unless(found) ? found : mapBackend(now, entries).get(key)
  }
})

/** The method needs room in the store. */
export const needsRoom = (method: 'delete' | 'clear'): StoreBreakage => ({ correct, network }) => ({
  [method] (...args: [never]) {
    if (network.state === 'is full') throw new Error('there is no room')
    return correct[method](...args)
  }
})

/** The method waits for all sets that were called before it. */
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

/** A result takes two turns of the event loop, and a timer that is due fires before that. */
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
  'hang: close ends the calls that wait for the store': ofStore(({ network, entries }) => ({
    get: (key) => network.call(() => entries.get(key))
  })),
  'hang: calls that wait for the store do not block the process': ofStore(({ correct, network }) => ({
    get (key) {
      if (network.state === 'hangs') holdUp(BLOCKED_MS)
      return correct.get(key)
    }
  })),
  'hang: a set that waited does not take effect after a later delete': ofStore(({ correct, network, entries }) => ({
    set (key, entry) {
      if (network.state === 'well') return correct.set(key, entry)
      setTimeout(() => entries.set(key, entry), ZOMBIE_MS)
      throw new Error('it timed out')
    }
  })),
  'hang: the backend works again when the store does': ofStore(isLostWhen('hangs')),
  'hang: opening a backend settles in time': ofOpening(async (given) => await given.network.call(() => storeBackend(given))),

  'fail: a get fails and is not a miss': ofStore(swallows('get', undefined)),
  'fail: a set fails': ofStore(swallows('set', undefined)),
  'fail: a delete fails': ofStore(swallows('delete', undefined)),
  'fail: has fails': ofStore(swallows('has', false)),
  'fail: getMany fails': ofStore(swallows('getMany', [undefined])),
  'fail: keys fails': ofStore(swallows('keys', [])),
  'fail: clear fails': ofStore(swallows('clear', undefined)),
  'fail: close settles': ofStore(({ correct, network }) => ({ close: () => network.state === 'fails' ? never : correct.close() })),
  'fail: the backend works again when the store does': ofStore(isLostWhen('fails')),
  'fail: opening a backend settles in time, and the backend works when the store does': ofOpening(async (given) =>
    isLostFromTheStart(given)),
  'fail: a failed call leaves no unhandled rejection': ofStore(({ correct, network }) => ({
    get (key) {
      if (network.state === 'fails') Promise.reject(new Error('nobody waits for this'))
      return correct.get(key)
    }
  })),

  'garble: a get returns an entry or undefined, or it fails': ofStore(({ entries }) => ({ get: (key) => entries.get(key) })),
  'garble: a key with a damaged entry can be set again': ofStore(failsOnGarbageIn('set')),
  'garble: a key with a damaged entry can be deleted': ofStore(failsOnGarbageIn('delete')),
  'garble: clear removes damaged entries too': ofStore(failsOnGarbageIn('clear')),
  'garble: close settles': ofStore(failsOnGarbageIn('close')),

  'kill: after a process is killed while it writes, each value is whole or a miss': ofProgram('halved'),
  'kill: entries that a process set before it was killed are returned': ofProgram('late'),
  'kill: if the store is killed during sets, they settle, and each value is whole or a miss': ofStore(inHalves),

  'jump: when the clock is set forward by a day, entries expire by the new time': ofStore(({ entries }) => ({
    get: (key) => entries.get(key)
  })),
  'jump: when the clock is set back by an hour, no entry expires early or lives longer': ofStore(({ correct, now }) => {
    const setAt = new Map<string, number>()
    return {
      set (key, entry) {
        setAt.set(key, now())
        return correct.set(key, entry)
      },
      get: (key) => setAt.get(key)! > now() ? undefined : correct.get(key)
    }
  }),
  'jump: after the clock was a day ahead and set back, entries are stored as before': ofStore(({ entries, now }) => {
    let latest = 0
    return {
      get (key) {
        latest = Math.max(latest, now())
        return entries.get(key)!.expiresAt > latest ? entries.get(key) : undefined
      }
    }
  }),
  'jump: after the clock was a day ahead and set back, changes by another backend are seen': ofStore(({ correct, now }) => {
    const seen = new Map<string, { readonly entry: StoredEntry | undefined, readonly at: number }>()
    return {
      async get (key) {
        if (now() < (seen.get(key)?.at ?? 0)) return seen.get(key)?.entry
        seen.set(key, { entry: await correct.get(key), at: now() })
        return seen.get(key)?.entry
      }
    }
  }),

  'remove: removed entries are soon misses': ofStore(readsOpenedStore()),
  'remove: entries that are set afterwards are in the store': ofStore(({ correct, entries, now }) => ({
    async set (key, entry) {
      await correct.has(key)
      mapBackend(now, entries).set(key, entry)
    }
  })),
  'remove: a backend that only reads soon sees what another backend sets and deletes afterwards': ofStore(readsOpenedStore((found) =>
    found === undefined)),

  'loosen: the store can be reopened each time a group was given access to it': ofOpening(async (given) => {
    if (given.isLoose === true) throw new Error('its mode is 770')
    return storeBackend(given)
  }),

  'fill: entries that were set before the store was full are returned': ofStore(({ correct, network }) => ({
    async get (key) {
      const found = await correct.get(key)
      if (found !== undefined && network.state === 'is full') throw new Error('the time of its use could not be written')
      return found
    }
  })),
  'fill: a set fails, or its entry is stored': ofStore(({ correct, network }) => ({
    async set (key, entry) { if (network.state !== 'is full') await correct.set(key, entry) }
  })),
  'fill: a delete removes the entry': ofStore(needsRoom('delete')),
  'fill: clear removes the entries': ofStore(needsRoom('clear')),
  'fill: entries are stored when there is room again': ofStore(({ correct, network }) => {
    let isGivenUp = false
    return {
      set (key, entry) {
        isGivenUp ||= network.state === 'is full'
        if (isGivenUp) throw new Error('it was full')
        return correct.set(key, entry)
      }
    }
  }),

  'slow: a delete during many sets settles in time': ofStore(inOneQueue('delete')),
  'slow: clear during many sets settles in time': ofStore(inOneQueue('clear')),
  'slow: a get during many sets settles in time': ofStore(inOneQueue('get')),

  'blocked process: calls that were made in the same turn succeed':
    ofMap(ownTimeout('get')),
  'blocked process: calls that were made in an earlier turn succeed':
    ofMap(ownTimeout('delete'))
}
