// Broken backends by the name of a case: only that case of `conformance` and `museum` finds what is broken.
import { createHash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { matchesGlob } from '../../../registry/glob.js'
import type { CacheBackend, StoredEntry } from '../../../registry/backend.js'
import { expiriesAs, refuse, valuesAs, type Breakage } from './ways.js'

const MEBIBYTE = 1024 * 1024
const LATE_MS = 5
const EXTENDED_MS = 1_000

/** Entries are stored under names that are made of their keys. Each name remembers only the last key. */
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

/** Sets and deletes take effect in their order, each after a turn of the event loop; clear doesn't wait for them. */
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

/** A set settles, and some time later the entry is stored once more. */
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

type Read = 'get' | 'has' | 'getMany'

/** A method that reads removes an expired entry later, whatever is under its key by then. */
const removesLate = (method: Read): Breakage => ({ correct, entries, now }) => ({
  [method] (asked: never) {
    for (const key of [asked].flat()) {
      if ((entries.get(key)?.expiresAt ?? Infinity) <= now()) setTimeout(() => { entries.delete(key) }, LATE_MS)
    }
    return correct[method](asked)
  }
})

/** A method that reads extends the life of what it finds. */
const extendsLife = (method: Read): Breakage => ({ correct, entries, now }) => ({
  [method] (asked: never) {
    for (const key of [asked].flat()) {
      const hit = correct.get(key)
      if (hit !== undefined) entries.set(key, { ...hit, expiresAt: now() + EXTENDED_MS })
    }
    return correct[method](asked)
  }
})

/** The expiresAt of a hit is remembered until a get of its key is a miss. */
const remembersExpiry: Breakage = ({ correct }) => {
  const expiries = new Map<string, number>()
  return {
    get (key) {
      const hit = correct.get(key)
      if (hit === undefined) {
        expiries.delete(key)
        return undefined
      }
      const expiresAt = expiries.get(key) ?? hit.expiresAt
      expiries.set(key, expiresAt)
      return { ...hit, expiresAt }
    }
  }
}

/** A new value is in place a turn before its expiresAt is. */
const valueFirst: Breakage = ({ correct, entries }) => {
  const storeExpiry = async (key: string, entry: StoredEntry): Promise<void> => {
    await null
    if (entries.get(key)?.value === entry.value) correct.set(key, entry)
  }
  return {
    set (key, entry) {
      const old = correct.get(key)
      if (old === undefined) return correct.set(key, entry)
      entries.set(key, { ...entry, expiresAt: old.expiresAt })
      return storeExpiry(key, entry)
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

/** A case and a backend that only this case finds. A case may have several; test/kit-conformance.test.ts uses the first one. */
export const alone: ReadonlyArray<readonly [name: string, breakage: Breakage]> = [
  ['a value slightly larger than 2 MiB is returned whole or not at all', valuesAs((value) => value.subarray(0, 2 * MEBIBYTE))],
  ['keys in any script that differ only in case are different keys',
    namedBy((key) => key.replace(/[\u00c0-\u00de]/g, (letter) => letter.toLowerCase()))],
  [
    'keys of 4 KiB that differ only in their middle are different keys',
    namedBy((key) => key.length < 4_000 || key.length > 8_000 ? key : `${key.length} ${key.slice(0, 1_000)}${key.slice(-1_000)}`)
  ],
  ['keys that differ only beyond 8 KiB are different keys', namedBy((key) => key.slice(0, 8_192))],
  ['none of thousands of keys returns the value of another', namedBy(shortHash)],
  ['a new value is never returned with the expiresAt of an older one', remembersExpiry],
  ['a new value is never returned with the expiresAt of an older one', valueFirst],
  ['a set replaces expiresAt even if the value is the same', notAgain],
  ['the removal of an expired entry does not remove a newer one under its key', removesLate('get')],
  ['the removal of an expired entry does not remove a newer one under its key', removesLate('has')],
  ['the removal of an expired entry does not remove a newer one under its key', removesLate('getMany')],
  ['an entry that lives 2^32 milliseconds is returned', expiriesAs((expiresAt, now) => now + (expiresAt - now) % 2 ** 32)],
  ['an expiresAt after 2106 is accepted', expiriesAs((expiresAt) => expiresAt % (2 ** 32 * 1_000))],
  ['no rejection is left unhandled', ({ correct }) => ({
    set (key, entry) {
      Promise.reject(new Error('nobody waits for this'))
      correct.set(key, entry)
    }
  })],
  ["opening and closing backends leaves no interval running, not even an unref'd one", leavesAnInterval],
  ['has: does not extend the life of its entry', extendsLife('has')],
  ['stats: works after clear, or after everything was deleted', failsWhenCleared],
  ['getMany: does not extend the lives of its entries', extendsLife('getMany')],
  ['clear: removes the entries of pending sets too', oneAfterAnother],
  ['clear: removes the entries of pending sets too', writesBehind]
]
