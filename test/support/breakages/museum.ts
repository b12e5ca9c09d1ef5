// Broken backends by the name of the case of `museum` that must find what is broken.
import type { StoredEntry } from '../../../registry/backend.js'
import { mapBackend } from '../map-backend.js'
import { ofMap, ofOpening, ofProgram, ofStore, type Broken, type StoreBreakage } from './broken.js'
import { inHalves, isLostWhen, needsRoom, failsOnGarbageIn, swallows } from './faults.js'
import { storeBackend } from '../faulty-store.js'
import { expiriesAs, keysAs, overflows } from './ways.js'

const DAY_MS = 86_400_000

// Longer than the case waits, and short enough for the process to end.
const LEFT_MS = 4_000

const never = new Promise<never>(() => {})
const sharedByAll = new Map<string, StoredEntry>()

/** Each set leaves one more entry in the store, and nothing removes it. */
const leaves: StoreBreakage = ({ correct, entries }) => ({
  set (key, entry) {
    entries.set(`left by ${entries.size}`, entry)
    return correct.set(key, entry)
  }
})

/** The method waits for a connection, without a timeout. */
const waitsIn = (method: 'get' | 'set'): StoreBreakage => ({ correct, network }) => ({
  async [method] (...args: [never, never]) {
    await null
    return network.state === 'fails' ? await never : await correct[method](...args)
  }
})

const keyBugs: Readonly<Record<string, Broken>> = {
  'keys that differ only after a question mark are different keys': ofMap(keysAs((key) => key.split('?')[0]!)),
  'keys that differ only in their separators are different keys': ofMap(keysAs((key) => key.replace(/[:,]/g, ''))),
  'an expired entry does not hide another one whose key begins alike': ofMap(({ correct, now, entries }) => ({
    get (key) {
      const [first] = [...entries].filter(([other]) => other.startsWith(key.split(' ', 2).join(' '))).map(([, entry]) => entry)
      return first !== undefined && first.expiresAt <= now() ? undefined : correct.get(key)
    }
  })),
  'a set replaces every part of the earlier entry': ofMap(({ correct }) => ({
    set: (key, entry) => correct.set(key, { ...entry, expiresAt: correct.get(key)?.expiresAt ?? entry.expiresAt })
  })),
  'a value is returned as bytes, not as an object that a Buffer became in JSON': ofMap(({ entries }) => ({
    set (key, entry) { entries.set(key, JSON.parse(JSON.stringify(entry)) as StoredEntry) }
  })),
  'entries belong to one backend, not to its module': ofMap(({ now }) => mapBackend(now, sharedByAll)),
  'has: agrees with get after an entry expired, was cleared or was deleted': ofMap(({ entries }) => ({ has: (key) => entries.has(key) }))
}

const timeBugs: Readonly<Record<string, Broken>> = {
  'an entry that lives 26 days does not expire at once': ofMap(overflows(26 * DAY_MS)),
  'an hour is an hour, whatever unit of time the store uses': ofMap(expiriesAs((expiresAt, now) => now + (expiresAt - now) * 1_000)),
  'each entry has its own life': ofMap(expiriesAs((_expiresAt, now) => now + 2_000)),
  'an entry that is read again and again still expires': ofMap(({ correct, entries, now }) => ({
    get (key) {
      const hit = correct.get(key)
      if (hit !== undefined) entries.set(key, { ...hit, expiresAt: now() + 2_500 })
      return hit
    }
  })),
  'clear removes expired entries too': ofStore(({ correct, entries, now }) => ({
    async clear () {
      for (const key of await correct.keys()) if (entries.get(key)!.expiresAt > now()) entries.delete(key)
    }
  }))
}

const races: Readonly<Record<string, Broken>> = {
  'a get that runs while its key is deleted does not bring the entry back': ofMap(({ correct }) => ({
    async get (key) {
      const hit = correct.get(key)
      await null
      if (hit !== undefined) correct.set(key, hit)
      return hit
    }
  })),
  'concurrent sets of one key by two backends on one store leave a whole value': ofStore(inHalves),
  'concurrent sets, gets and deletes by two backends on one store have no errors': ofStore(({ correct, entries }) => ({
    async delete (key) {
      await correct.get(key)
      if (!entries.delete(key)) throw new Error('ENOENT: no such file or directory')
    }
  })),
  'values that another process writes are returned whole or not at all': ofProgram('torn'),
  'an entry that one process sets is returned in another': ofProgram('alone')
}

const growth: Readonly<Record<string, Broken>> = {
  'deleted keys leave nothing in the store': ofStore(leaves),
  'a key that is set again and again takes up the space of one entry': ofStore(leaves),
  'cleared keys leave nothing in the store': ofStore(leaves)
}

const outages: Readonly<Record<string, Broken>> = {
  'if the store is down from the start, opening a backend and its first call settle in time': ofOpening(async (given) =>
    given.network.state === 'fails' ? await never : storeBackend(given)),
  'a get that is pending when the store goes down settles in time': ofStore(waitsIn('get')),
  'many concurrent calls settle in time while the store is down': ofStore(waitsIn('set')),
  'a store is used again after it was down for a while': ofStore(isLostWhen('fails')),
  'a backend does not wait forever on a silent connection': ofStore(isLostWhen('hangs')),
  'calls during an outage leave no connection and no timer open': ofStore(({ correct, network }) => ({
    get (key) {
      if (network.state === 'fails') setTimeout(() => {}, LEFT_MS)
      return correct.get(key)
    }
  })),
  'an outage does not look like an empty cache': ofStore(swallows('get', undefined)),
  'a damaged entry does not cause errors forever': ofStore(failsOnGarbageIn('set'))
}

const room: Readonly<Record<string, Broken>> = {
  'a store that was removed is created again': ofStore(({ correct, entries }) => ({
    async set (key, entry) {
      if (entries.size > 0 && await correct.size() === 0) throw new Error('no such table')
      await correct.set(key, entry)
    }
  })),
  'a full store can be cleared': ofStore(needsRoom('clear')),
  'in a store that the cache itself has filled, new entries replace old ones':
    ofStore(({ correct, entries, roomBytes = Infinity }) => ({
      set (key, entry) {
        if ((entries.size + 1) * entry.value.byteLength > roomBytes) throw new Error('there is no room')
        return correct.set(key, entry)
      }
    }))
}

export const brokenMuseum: Readonly<Record<string, Broken>> = { ...keyBugs, ...timeBugs, ...races, ...growth, ...outages, ...room }
