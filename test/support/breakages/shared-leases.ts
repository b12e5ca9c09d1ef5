// Broken backends on a store with levers, or in a child process, by the name of the case of `coordination` that must find what is broken.
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import type { Claim, StoredEntry } from '../../../registry/backend.js'
import { mapBackend } from '../map-backend.js'
import { leaseRecords } from '../map-leases.js'
import { ofProgram, ofStore, type Broken, type StoreBreakage } from './broken.js'
import { failsOnGarbageIn } from './faults.js'

const ABANDONED_MS = 10

const never = new Promise<never>(() => {})

/** Each backend has leases of its own. */
const ownLeases: StoreBreakage = ({ correct, now }) => {
  const own = mapBackend(now)
  return {
    async claim (key, options) {
      const entry = await correct.get(key)
      return entry !== undefined && entry.expiresAt !== options.seen ? { entry } : own.claim(key, options)
    },
    async settle (key, token, settlement) {
      const stored = own.settle(key, token, settlement)
      if (stored) await correct.set(key, settlement.entry!)
      return stored
    }
  }
}

const remembersBusy: StoreBreakage = ({ correct, now }) => {
  const until = new Map<string, number>()
  return {
    async claim (key, options) {
      const restMs = (until.get(key) ?? 0) - now()
      const came: Claim = restMs > 0 ? { busyMs: restMs } : await correct.claim(key, options)
      if ('busyMs' in came) until.set(key, now() + came.busyMs)
      return came
    }
  }
}

const ownAlone: StoreBreakage = ({ correct }) => {
  const alone = new Set<string>()
  return {
    claim: (key, options) => correct.claim(key, alone.has(key) ? { ...options, leaseMs: 0 } : options),
    settle (key, token, { aloneMs = 0, ...settlement }) {
      if (aloneMs > 0) alone.add(key)
      return correct.settle(key, token, settlement)
    }
  }
}

const ownOrder: StoreBreakage = ({ correct }) => {
  const stored = new Set<string>()
  return {
    async settle (key, token, settlement) {
      const isStored = await correct.settle(key, token, { ...settlement, unordered: !stored.has(key) })
      if (isStored) stored.add(key)
      return isStored
    }
  }
}

/** A change makes only those tokens invalid that this backend has given out. */
const voidsOwn = (method: 'delete' | 'set' | 'clear'): StoreBreakage => ({ correct, entries }) => {
  const own = new Set<string>()
  return {
    claim (key, options) {
      own.add(key)
      return correct.claim(key, options)
    },
    async [method] (key = '', entry: never) {
      const records = leaseRecords(entries)
      const before = new Map(records)
      await correct[method](key, entry)
      for (const [other, record] of before) if (!own.has(other)) records.set(other, record)
    }
  }
}

/** The token is checked some time before the entry is stored. */
const checksTokenFirst: StoreBreakage = ({ correct }) => ({
  async settle (key, token, { entry }) {
    const { busyMs } = await correct.claim(key, { leaseMs: 0, fillMs: 0, token }) as { busyMs?: number }
    if (busyMs !== undefined || entry === undefined) return await correct.settle(key, token, {})
    await turn()
    await correct.set(key, entry)
    return true
  }
})

/** Only the process that has a lease ends it. */
const lastsBeyondClose: StoreBreakage = ({ correct, entries }) => ({
  close () {
    for (const record of leaseRecords(entries).values()) record.leaseUntil = Infinity
    return correct.close()
  }
})

/** A key that has had a lease gets no other one. */
const oneLease: StoreBreakage = ({ correct, entries }) => ({
  claim: (key, options) => correct.claim(key, hasHadLease(key, entries) && !options.token ? { ...options, leaseMs: 0 } : options)
})

const hasHadLease = (key: string, entries: Map<string, StoredEntry>): boolean => (leaseRecords(entries).get(key)?.holder ?? 0) > 0

const settlesInMemory: StoreBreakage = ({ correct, entries }) => {
  const memory = new Map<string, StoredEntry>()
  return {
    get: async (key) => await correct.get(key) ?? memory.get(key),
    async settle (key, token, settlement) {
      const stored = await correct.settle(key, token, settlement)
      if (stored) memory.set(key, settlement.entry!)
      if (stored) entries.delete(key)
      return stored
    }
  }
}

const sameEpoch: StoreBreakage = ({ correct, entries }) => ({
  async claim (key, options) {
    const came = await correct.claim(key, options)
    if (!('token' in came) || options.token !== undefined) return came
    leaseRecords(entries).get(key)!.epoch = 'epoch'
    return { token: came.token.replace(/^\S+/, 'epoch') }
  }
})

/** Gives up soon, but what it has sent to the store still arrives. */
const abandons: StoreBreakage = ({ correct }) => ({
  async settle (key, token, settlement) {
    const settled = correct.settle(key, token, settlement) as Promise<boolean>
    settled.catch(() => {})
    const giveUp = wait(ABANDONED_MS).then(() => { throw new Error('it took too long') })
    return await Promise.race([settled, giveUp])
  }
})

const remembersTokens: StoreBreakage = ({ correct }) => {
  const tokens = new Set<string>()
  return {
    async claim (key, options) {
      const came = await correct.claim(key, options)
      if ('token' in came) tokens.add(came.token)
      return came
    },
    async settle (key, token, settlement) {
      if (!tokens.has(token) || settlement.entry === undefined) return await correct.settle(key, token, settlement)
      await correct.set(key, settlement.entry)
      return true
    }
  }
}

const isLost: StoreBreakage = ({ correct, network }) => {
  let lost = false
  return {
    async claim (key, options) {
      lost ||= network.state === 'fails'
      if (lost) throw new Error('the connection is lost')
      return await correct.claim(key, options)
    }
  }
}

const leavesClaims: StoreBreakage = ({ correct, entries }) => ({
  claim (key, options) {
    entries.set(`left by ${entries.size}`, { value: new Uint8Array(0), expiresAt: Infinity })
    return correct.claim(key, options)
  }
})

const between: Readonly<Record<string, StoreBreakage>> = {
  'of concurrent claims by two backends on one store, exactly one gets a token': ownLeases,
  'a lease keeps out another backend on the store until it is given back': ownLeases,
  'an entry that was settled is returned by claim and get of another backend on the store': remembersBusy,
  'aloneMs counts for another backend on the store': ownAlone,
  'of two tokens of two backends, the older one does not overwrite the entry of the younger one': ownOrder,
  'after a delete by another backend on the store, a token stores nothing': voidsOwn('delete'),
  'after a set by another backend on the store, a token stores nothing': voidsOwn('set'),
  'after a clear by another backend on the store, a token stores nothing': voidsOwn('clear'),
  'after a clear of a prefix by another backend on the store, a token stores nothing': voidsOwn('clear'),
  'a settle during a delete by another backend on the store leaves nothing of its own': checksTokenFirst,
  'a settle during a set by another backend on the store leaves nothing of its own': checksTokenFirst,
  'a settle during a clear by another backend on the store leaves nothing of its own': checksTokenFirst,
  'a settle during a clear of a prefix by another backend on the store leaves nothing of its own': checksTokenFirst,
  'the lease of a backend that was closed ends by itself': lastsBeyondClose,
  'a lease that has ended is taken by one of two backends on the store': oneLease
}

const faults: Readonly<Record<string, StoreBreakage>> = {
  'close ends the claims and settles that wait for the store': ({ correct, network }) => ({
    claim: (key, options) => network.state === 'hangs' ? never : correct.claim(key, options)
  }),
  'a lease ends by itself even if the store was closed and reopened': lastsBeyondClose,
  'an entry that was settled is returned after the store was closed and reopened': settlesInMemory,
  'after a delete, a token stores nothing even if the store was reopened': sameEpoch,
  'fails while the store fails': ({ correct }) => ({
    claim: async (key, options) => { try { return await correct.claim(key, options) } catch { return { busyMs: 100 } } }
  }),
  'settle fails while the store fails, and works when the store does': ({ correct }) => ({
    settle: async (key, token, settlement) => { try { return await correct.settle(key, token, settlement) } catch { return false } }
  }),
  'a settle that was given up while the store hung stores nothing later': abandons,
  'a full store refuses a claim or a settle, and has not failed': ({ correct, network }) => ({
    claim (key, options) {
      if (network.state === 'is full') throw new Error('OOM command not allowed')
      return correct.claim(key, options)
    }
  }),
  'a damaged entry can be claimed and replaced': failsOnGarbageIn('delete'),
  'after the contents of the store were removed, a token stores nothing': remembersTokens,
  'works after the store was killed': isLost,
  'claims of one key take up the space of one': leavesClaims,
  'keys that are claimed and deleted leave nothing in the store': leavesClaims
}

export const sharedLeases: Readonly<Record<string, Broken>> = {
  ...Object.fromEntries(Object.entries({ ...between, ...faults }).map(([name, breakage]) => [`claim: ${name}`, ofStore(breakage)])),
  'claim: the lease of a process that was killed ends by itself': ofProgram('endless')
}
