// Broken backends by the name of the case about `version` that must find what is broken.
import type { CacheBackend } from '../../../registry/backend.js'
import { ofMap, ofStore, type Broken } from './broken.js'
import type { Breakage } from './ways.js'

/** Counts from 0 in the memory of the backend, and reads before it writes. */
function counter (): { version: NonNullable<CacheBackend['version']>, begin: () => void } {
  const numbers = new Map<string, number>()
  return {
    async version (name, raise = false) {
      const number = (numbers.get(name) ?? 0) + Number(raise)
      await null
      numbers.set(name, number)
      return number
    },
    begin: () => numbers.clear()
  }
}

const inMemory = (): Partial<CacheBackend> => ({ version: counter().version })

/** The numbers are removed with the entries. */
export const clearedWithEntries: Breakage = ({ correct }) => {
  const { version, begin } = counter()
  return {
    version,
    clear (prefix) {
      begin()
      correct.clear(prefix)
    }
  }
}

const breakages: Readonly<Record<string, Breakage>> = {
  'with raise, returns a larger number each time': ({ correct }) => ({ version: (name) => correct.version(name) }),
  'without raise, returns the number that the last raise returned': ({ correct }) => ({ version: (name) => correct.version(name, true) }),
  'concurrent calls with raise return different numbers': inMemory,
  'each name has its own number': ({ correct }) => ({ version: (name, raise) => correct.version(name.trim(), raise) }),
  'does not begin again after clear or delete': clearedWithEntries,
  'is not an entry': ({ correct, now }) => ({
    version (name, raise) {
      const number = correct.version(name, raise)
      correct.set(name, { value: Buffer.from(String(number)), expiresAt: now() + 1_000 })
      return number
    }
  })
}

export const brokenVersions: Readonly<Record<string, Broken>> = {
  ...Object.fromEntries(Object.entries(breakages).map(([name, breakage]) => [`version: ${name}`, ofMap(breakage)])),
  'version: two backends on one store have the same number': ofStore(({ correct }) => {
    const seen = new Map<string, number>()
    return {
      async version (name, raise = false) {
        if (raise || !seen.has(name)) seen.set(name, await correct.version(name, raise))
        return seen.get(name)!
      }
    }
  }),
  'version: concurrent calls with raise by two backends return different numbers': ofStore(inMemory),
  'version: does not begin again after the store was reopened': ofStore(inMemory),
  'version: does not begin again after the contents of the store were removed': ofStore(({ correct }) => {
    const { version, begin } = counter()
    let store: number | undefined
    return {
      async version (name, raise) {
        const present = await correct.version('the number of this store')
        if (present !== store) begin()
        store = present
        return await version(name, raise)
      }
    }
  }),
  'version: does not begin again after the store was killed': ofStore(({ network }) => {
    const { version, begin } = counter()
    return {
      version (name, raise) {
        if (network.state !== 'fails') return version(name, raise)
        begin()
        throw new Error('the store is down')
      }
    }
  }),
  'version: fails while the store fails': ofStore(({ correct }) => ({
    version: async (name, raise) => { try { return await correct.version(name, raise) } catch { return 0 } }
  }))
}
