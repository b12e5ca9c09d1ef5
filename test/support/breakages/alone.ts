// Backends broken in one way each that one case of `conformance` notices and no other, by the name of that case.
import { createHash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { matchesGlob } from '../../../registry/glob.js'
import type { CacheBackend, StoredEntry } from '../../../registry/backend.js'
import { instantsAs, refuse, valuesAs, type Breakage } from './ways.js'

const MEBIBYTE = 1024 * 1024
const LATE_MS = 5
const PROLONGED_MS = 1_000

/** Entries have names made of their keys, and each name remembers the last key alone. */
const namedBy = (nameOf: (key: string) => string): Breakage => ({ correct }) => {
  const keys = new Map<string, string>()
  const get = (key: string): StoredEntry | undefined => correct.get(nameOf(key))
  return {
    get,
    set (key, entry) {
      keys.set(nameOf(key), key)
      correct.set(nameOf(key), entry)
    },
    delete: (key) => correct.delete(nameOf(key)),
    has: (key) => correct.has(nameOf(key)),
    getMany: (asked) => asked.map(get),
    keys: (pattern = '*') => [...keys].filter(([name, key]) => correct.has(name) && matchesGlob(pattern, key)).map(([, key]) => key),
    clear (prefix = '') {
      for (const [name, key] of keys) if (key.startsWith(prefix)) correct.delete(name)
    }
  }
}

const shortHash = (key: string): string => createHash('sha256').update(key, 'utf16le').digest('hex').slice(0, 4)

/** Changes take effect in their order, each after a turn of the event loop; those of many keys are not among them. */
const oneAfterAnother: Breakage = ({ correct }) => {
  let last: Promise<void> = Promise.resolve()
  const inTurn = (change: () => void): Promise<void> => {
    last = last.then(async () => {
      await turn()
      change()
    })
    return last
  }
  return { set: (key, entry) => inTurn(() => correct.set(key, entry)), delete: (key) => inTurn(() => correct.delete(key)) }
}

/** Sets settle before they take effect; a get looks among them first. */
const writesBehind: Breakage = ({ correct }) => {
  const waiting = new Map<string, StoredEntry>()
  return {
    get: (key) => correct.get(key),
    set (key, entry) {
      correct.set(key, entry)
      waiting.set(key, entry)
      setTimeout(() => {
        if (waiting.get(key) === entry) correct.set(key, entry)
        waiting.delete(key)
      }, LATE_MS)
    },
    delete (key) {
      waiting.delete(key)
      correct.delete(key)
    },
    close () {
      waiting.clear()
      correct.close()
    }
  }
}

type Look = 'get' | 'has' | 'getMany'

/** A method that looks removes what is over, later, whatever is there by then. */
const removesLate = (method: Look): Breakage => ({ correct, entries, now }) => ({
  [method] (asked: never) {
    for (const key of [asked].flat()) {
      if ((entries.get(key)?.expiresAt ?? Infinity) <= now()) setTimeout(() => { entries.delete(key) }, LATE_MS)
    }
    return correct[method](asked)
  }
})

/** A method that looks prolongs the lives of what it finds. */
const prolongs = (method: Look): Breakage => ({ correct, entries, now }) => ({
  [method] (asked: never) {
    for (const key of [asked].flat()) {
      const hit = correct.get(key)
      if (hit !== undefined) entries.set(key, { ...hit, expiresAt: now() + PROLONGED_MS })
    }
    return correct[method](asked)
  }
})

/** The instant of a hit is remembered until its key is deleted or over. */
const remembersInstants: Breakage = ({ correct }) => {
  const instants = new Map<string, number>()
  return {
    get (key) {
      const hit = correct.get(key)
      if (hit === undefined) {
        instants.delete(key)
        return undefined
      }
      const expiresAt = instants.get(key) ?? hit.expiresAt
      instants.set(key, expiresAt)
      return { ...hit, expiresAt }
    }
  }
}

/** The value is in place a turn before its instant is. */
const valueFirst: Breakage = ({ correct, entries }) => {
  const instantLater = async (key: string, entry: StoredEntry): Promise<void> => {
    await null
    if (entries.get(key)?.value === entry.value) correct.set(key, entry)
  }
  return {
    set (key, entry) {
      const old = correct.get(key)
      if (old === undefined) return correct.set(key, entry)
      entries.set(key, { ...entry, expiresAt: old.expiresAt })
      return instantLater(key, entry)
    }
  }
}

const notAgain: Breakage = ({ correct }) => ({
  set (key, entry) {
    const old = correct.get(key)
    if (old === undefined || Buffer.compare(old.value, entry.value) !== 0) correct.set(key, entry)
  }
})

function leavesAnInterval (): Partial<CacheBackend> {
  setInterval(() => {}, 60_000).unref()
  return {}
}

function failsWhenCleared ({ correct }: Parameters<Breakage>[0]): Partial<CacheBackend> {
  let isCleared = false
  return {
    clear (prefix) {
      isCleared = true
      correct.clear(prefix)
    },
    stats: () => isCleared ? refuse() : correct.stats()
  }
}

/** A case and what it notices; where there are several ways, the first is its own. */
export const alone: ReadonlyArray<readonly [name: string, breakage: Breakage]> = [
  ['a value of a little more than 2 MiB comes back whole or not at all', valuesAs((value) => value.subarray(0, 2 * MEBIBYTE))],
  ['keys in any script that differ only in case are different keys',
    namedBy((key) => key.replace(/[\u00c0-\u00de]/g, (letter) => letter.toLowerCase()))],
  [
    'keys of 4 KiB that differ only in their middle are different keys',
    namedBy((key) => key.length < 4_000 || key.length > 8_000 ? key : `${key.length} ${key.slice(0, 1_000)}${key.slice(-1_000)}`)
  ],
  ['keys that differ only beyond 8 KiB are different keys', namedBy((key) => key.slice(0, 8_192))],
  ['of thousands of keys none answers the value of another', namedBy(shortHash)],
  ['a new value is never under the instant of an older one', remembersInstants],
  ['a new value is never under the instant of an older one', valueFirst],
  ['a set replaces the life of the entry also where the value is the same', notAgain],
  ['what removes an entry that is over leaves a newer one under its key', removesLate('get')],
  ['what removes an entry that is over leaves a newer one under its key', removesLate('has')],
  ['what removes an entry that is over leaves a newer one under its key', removesLate('getMany')],
  ['an entry of 2^32 milliseconds is there', instantsAs((expiresAt, now) => now + (expiresAt - now) % 2 ** 32)],
  ['an instant beyond 2106 is taken', instantsAs((expiresAt) => expiresAt % (2 ** 32 * 1_000))],
  ['no promise rejects without anybody knowing', ({ correct }) => ({
    set (key, entry) {
      Promise.reject(new Error('nobody waits for this'))
      correct.set(key, entry)
    }
  })],
  ["openings and closings leave no interval behind, not even one that is unref'd", leavesAnInterval],
  ['has: does not prolong the life of its entry', prolongs('has')],
  ['stats: it answers after clear, or after everything was deleted, as before', failsWhenCleared],
  ['getMany: does not prolong the lives of its entries', prolongs('getMany')],
  ['clear: forgets a set that is under way too', oneAfterAnother],
  ['clear: forgets a set that is under way too', writesBehind]
]
