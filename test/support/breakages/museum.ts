// Backends broken in one way each, by the name of the case of `museum` that has to notice it.
import type { StoredEntry } from '../../../registry/backend.js'
import { mapBackend } from '../map-backend.js'
import { ofMap, ofOpening, ofProgram, ofStore, type Broken, type StoreBreakage } from './broken.js'
import { inHalves, isLostWhen, needsRoom, stumblesIn, swallows } from './faults.js'
import { storeBackend } from '../faulty-store.js'
import { instantsAs, keysAs, overflows } from './ways.js'

const DAY_MS = 86_400_000

// Longer than the case waits, short enough for the process to end.
const LEFT_MS = 4_000

const never = new Promise<never>(() => {})
const ofEverybody = new Map<string, StoredEntry>()

/** Each set leaves something more in the store, which nothing removes. */
const leaves: StoreBreakage = ({ correct, entries }) => ({
  set (key, entry) {
    entries.set(`left by ${entries.size}`, entry)
    return correct.set(key, entry)
  }
})

/** The calls of a method wait for a connection, however long that takes. */
const waitsIn = (method: 'get' | 'set'): StoreBreakage => ({ correct, network }) => ({
  async [method] (...args: [never, never]) {
    await null
    return network.state === 'fails' ? await never : await correct[method](...args)
  }
})

const keyBugs: Readonly<Record<string, Broken>> = {
  'keys that differ only behind a question mark are different keys': ofMap(keysAs((key) => key.split('?')[0]!)),
  'keys of the same pieces between other separators are different keys': ofMap(keysAs((key) => key.replace(/[:,]/g, ''))),
  'an entry that is over does not hide another one whose key begins alike': ofMap(({ correct, now, entries }) => ({
    get (key) {
      const [first] = [...entries].filter(([other]) => other.startsWith(key.split(' ', 2).join(' '))).map(([, entry]) => entry)
      return first !== undefined && first.expiresAt <= now() ? undefined : correct.get(key)
    }
  })),
  'a set over an entry replaces all that was kept of it': ofMap(({ correct }) => ({
    set: (key, entry) => correct.set(key, { ...entry, expiresAt: correct.get(key)?.expiresAt ?? entry.expiresAt })
  })),
  'a value comes back as bytes and not as what JSON makes of them': ofMap(({ entries }) => ({
    set (key, entry) { entries.set(key, JSON.parse(JSON.stringify(entry)) as StoredEntry) }
  })),
  'what is kept belongs to one backend and not to its module': ofMap(({ now }) => mapBackend(now, ofEverybody)),
  'has: agrees with get after whatever makes an entry go': ofMap(({ entries }) => ({ has: (key) => entries.has(key) }))
}

const timeBugs: Readonly<Record<string, Broken>> = {
  'a life of 26 days is not over at once': ofMap(overflows(26 * DAY_MS)),
  'an hour is an hour, whatever unit the store counts in': ofMap(instantsAs((expiresAt, now) => now + (expiresAt - now) * 1_000)),
  'each entry has a life of its own': ofMap(instantsAs((_expiresAt, now) => now + 2_000)),
  'an entry that is asked for again and again is over all the same': ofMap(({ correct, entries, now }) => ({
    get (key) {
      const hit = correct.get(key)
      if (hit !== undefined) entries.set(key, { ...hit, expiresAt: now() + 2_500 })
      return hit
    }
  })),
  'clear forgets what was over already': ofStore(({ correct, entries, now }) => ({
    async clear () {
      for (const key of await correct.keys()) if (entries.get(key)!.expiresAt > now()) entries.delete(key)
    }
  }))
}

const races: Readonly<Record<string, Broken>> = {
  'a get that is under way when its key is deleted brings nothing back': ofMap(({ correct }) => ({
    async get (key) {
      const hit = correct.get(key)
      await null
      if (hit !== undefined) correct.set(key, hit)
      return hit
    }
  })),
  'two backends on one store that set one key at once leave a whole value': ofStore(inHalves),
  'two backends on one store that set, get and delete the same keys at once have no errors': ofStore(({ correct, entries }) => ({
    async delete (key) {
      await correct.get(key)
      if (!entries.delete(key)) throw new Error('ENOENT: no such file or directory')
    }
  })),
  'what another process writes is read whole or not at all': ofProgram('torn'),
  'what one process sets, another one gets': ofProgram('alone')
}

const growth: Readonly<Record<string, Broken>> = {
  'keys that were deleted leave nothing in the store': ofStore(leaves),
  'keys that are set again and again take the room of one': ofStore(leaves),
  'what clear forgets leaves nothing in the store': ofStore(leaves)
}

const outages: Readonly<Record<string, Broken>> = {
  'with the store down from the start, a backend is made and its first call is over in time': ofOpening(async (given) =>
    given.network.state === 'fails' ? await never : storeBackend(given)),
  'a get that is under way when the store goes down is over in time': ofStore(waitsIn('get')),
  'with the store down, many calls at once are over in time': ofStore(waitsIn('set')),
  'a store that was down for a while is used again': ofStore(isLostWhen('fails')),
  'a connection that has gone silent is not waited on for ever': ofStore(isLostWhen('hangs')),
  'calls during an outage leave no connection and no timer behind': ofStore(({ correct, network }) => ({
    get (key) {
      if (network.state === 'fails') setTimeout(() => {}, LEFT_MS)
      return correct.get(key)
    }
  })),
  'an outage does not look like a cache that is empty': ofStore(swallows('get', undefined)),
  'an entry that was damaged is not an error for ever': ofStore(stumblesIn('set'))
}

const room: Readonly<Record<string, Broken>> = {
  'a store that was removed is made again': ofStore(({ correct, entries }) => ({
    async set (key, entry) {
      if (entries.size > 0 && await correct.size() === 0) throw new Error('no such table')
      await correct.set(key, entry)
    }
  })),
  'a store without room can be cleared': ofStore(needsRoom('clear')),
  'in a store that the cache itself has filled, new entries take the place of old ones':
    ofStore(({ correct, entries, roomBytes = Infinity }) => ({
      set (key, entry) {
        if ((entries.size + 1) * entry.value.byteLength > roomBytes) throw new Error('there is no room')
        return correct.set(key, entry)
      }
    }))
}

export const brokenMuseum: Readonly<Record<string, Broken>> = { ...keyBugs, ...timeBugs, ...races, ...growth, ...outages, ...room }
