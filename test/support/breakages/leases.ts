// Ways in which a backend in a Map coordinates wrongly: broken claims and settles.
import type { Claim, ClaimOptions, Settlement, StoredEntry } from '../../../registry/backend.js'
import { LIFE_MS } from '../../kit/entries.js'
import type { Breakage, MapGiven } from './ways.js'

const LARGE_BYTES = 65_535

const never = new Promise<never>(() => {})

/** Each claim has these options instead. */
const claimAs = (change: (options: ClaimOptions, key: string, given: MapGiven) => ClaimOptions): Breakage => (given) => ({
  claim: (key, options) => given.correct.claim(key, change(options, key, given))
})

/** Something happens before each claim. It may return what the claim returns instead. */
const beforeClaim = (act: (key: string, options: ClaimOptions, given: MapGiven) => Claim | undefined | void): Breakage => (given) => ({
  claim: (key, options) => act(key, options, given) ?? given.correct.claim(key, options)
})

/** Something happens after each claim. */
const afterClaim = (
  act: (key: string, options: ClaimOptions, given: MapGiven, came: Claim) => Claim | undefined | void
): Breakage => (given) => ({
  claim (key, options) {
    const came = given.correct.claim(key, options)
    return act(key, options, given, came) ?? came
  }
})

/** Each settle has this settlement instead. */
const settleAs = (change: (settlement: Settlement, key: string, given: MapGiven) => Settlement): Breakage => (given) => ({
  settle: (key, token, settlement) => given.correct.settle(key, token, change(settlement, key, given))
})

/** Each entry that is settled is changed. */
const entriesAs = (change: (entry: StoredEntry, key: string, given: MapGiven) => StoredEntry): Breakage =>
  settleAs(({ entry, ...settlement }, key, given) => entry === undefined ? settlement : { ...settlement, entry: change(entry, key, given) })

/** Something happens before each settle. It may return what the settle returns instead. */
const beforeSettle = (
  act: (key: string, token: string, settlement: Settlement, given: MapGiven) => boolean | undefined | void
): Breakage => (given) => ({
  settle: (key, token, settlement) => act(key, token, settlement, given) ?? given.correct.settle(key, token, settlement)
})

/** Something happens after each settle. */
const afterSettle = (
  act: (key: string, token: string, settlement: Settlement, given: MapGiven, stored: boolean) => void
): Breakage => (given) => ({
  settle (key, token, settlement) {
    const stored = given.correct.settle(key, token, settlement)
    act(key, token, settlement, given, stored)
    return stored
  }
})

const numberOf = (token: string): number => Number(token.split(' ')[1])
const epochOf = (token: string): string => token.split(' ')[0]!

const endLease = (key: string, { leases }: MapGiven): void => {
  const record = leases.get(key)
  if (record !== undefined) record.leaseUntil = 0
}
const runs = (key: string, { leases, now }: MapGiven): boolean => (leases.get(key)?.leaseUntil ?? 0) > now()

// Who may begin.
export const ignoresLease = beforeClaim((key, { token }, given) => { if (token === undefined) endLease(key, given) })
export const checksLeaseFirst: Breakage = (given) => ({
  async claim (key, options) {
    const isFree = !runs(key, given)
    await null
    if (isFree) endLease(key, given)
    return given.correct.claim(key, options)
  }
})
export const saysWholeLease = afterClaim((_key, { leaseMs }, _given, came) => 'busyMs' in came ? { busyMs: leaseMs } : came)
export const leaseInSeconds = claimAs((options) => ({ ...options, leaseMs: options.leaseMs * 1_000, fillMs: options.fillMs * 1_000 }))
export const leaksLease = beforeSettle((_key, _token, { entry }) => entry === undefined ? false : undefined)
export const keepsLeaseOfEntry: Breakage = (given) => ({
  settle (key, token, settlement) {
    const until = given.leases.get(key)?.leaseUntil
    const stored = given.correct.settle(key, token, settlement)
    if (stored) given.leases.get(key)!.leaseUntil = until!
    return stored
  }
})
export const forgetsExpired = beforeSettle((_key, _token, { entry }, { now }) =>
  entry !== undefined && entry.expiresAt <= now() ? false : undefined)
export const oneLeaseForAll = beforeClaim((key, _options, given) =>
  [...given.leases.keys()].some((other) => other !== key && runs(other, given)) ? { busyMs: 1 } : undefined)
export const ignoresAlone = settleAs((settlement) => ({ ...settlement, aloneMs: 0 }))
export const leasesAlone = afterClaim((key, { leaseMs }, { leases, now }) => {
  const record = leases.get(key)
  if (record !== undefined && record.aloneUntil > now()) Object.assign(record, { holder: record.given, leaseUntil: now() + leaseMs })
})
export const stealsWithoutLease = afterClaim((key, { leaseMs, token }, { leases }) => {
  if (leaseMs === 0 && token === undefined) leases.get(key)!.holder = leases.get(key)!.given
})
export const alwaysLeases = claimAs((options) => ({ ...options, leaseMs: options.leaseMs === 0 ? 1_000 : options.leaseMs }))
export const anyoneEndsLease = afterSettle((key, _token, _settlement, given) => endLease(key, given))

// Prolonging.
export const prolongsByNewToken: Breakage = ({ correct }) => ({
  claim (key, { token, ...options }) {
    if (token !== undefined) correct.settle(key, token, {})
    return correct.claim(key, options)
  }
})
export const neverProlongs = claimAs((options) => options.token === undefined ? options : { ...options, leaseMs: 0 })
export const addsUp = claimAs((options, key, { leases, now }) => options.token === undefined
  ? options
  : { ...options, leaseMs: options.leaseMs + Math.max(0, (leases.get(key)?.leaseUntil ?? 0) - now()) })
export const prolongsOnlyRunning = beforeClaim((key, { token }, given) =>
  token !== undefined && !runs(key, given) ? { busyMs: 0 } : undefined)
export const prolongsOverOthers = beforeClaim((key, { token }, given) => { if (token !== undefined) endLease(key, given) })
export const endsWhenAsked = afterClaim((key, { token, leaseMs }, given) => {
  if (token !== undefined && leaseMs === 0) endLease(key, given)
})
export const claimsAnew = afterClaim((key, { token, ...options }, { correct }, came) =>
  token !== undefined && 'busyMs' in came ? correct.claim(key, options) : came)
export const ignoresFill = claimAs((options) => ({ ...options, fillMs: options.fillMs * 1_000 }))
export const prolongsStored: Breakage = (given) => ({
  claim (key, options) {
    const record = given.leases.get(key)
    if (options.token !== undefined && record !== undefined && numberOf(options.token) === record.stored) record.stored = 0
    return given.correct.claim(key, options)
  }
})
export const entryBeforeToken = beforeClaim((key, { token }, { correct }) => {
  const entry = token === undefined ? undefined : correct.get(key)
  return entry && { entry }
})

// What a claim finds.
export const looksForNoEntry = claimAs((options, key, { correct }) => ({ ...options, seen: correct.get(key)?.expiresAt }))
export const emptyIsNone = claimAs((options, key, { correct }) => {
  const entry = correct.get(key)
  return entry?.value.byteLength === 0 ? { ...options, seen: entry.expiresAt } : options
})
export const smallValues = entriesAs((entry) => ({ ...entry, value: entry.value.subarray(0, LARGE_BYTES) }))
export const findsExpired = beforeClaim((key, { seen }, { entries }) => {
  const entry = entries.get(key)
  return entry !== undefined && entry.expiresAt !== seen ? { entry } : undefined
})
export const ignoresSeen = claimAs(({ seen, ...options }) => options)
export const anySeen = claimAs((options, key, { correct }) =>
  options.seen === undefined ? options : { ...options, seen: correct.get(key)?.expiresAt })
export const removesSeen = afterClaim((key, _options, { entries }, came) => { if ('token' in came) entries.delete(key) })
export const remembersBusy: Breakage = ({ correct, now }) => {
  const until = new Map<string, number>()
  return {
    claim (key, options) {
      const came: Claim = (until.get(key) ?? 0) > now() ? { busyMs: until.get(key)! - now() } : correct.claim(key, options)
      if ('busyMs' in came) until.set(key, now() + came.busyMs)
      return came
    }
  }
}
export const leaseFirst = beforeClaim((key, { leaseMs, token }, given) =>
  leaseMs > 0 && token === undefined && runs(key, given) ? { busyMs: 1_000 } : undefined)

// Who may store.
export const saysStored: Breakage = ({ correct }) => ({
  settle (key, token) {
    correct.settle(key, token, {})
    return true
  }
})
export const storesAlways: Breakage = ({ correct }) => ({
  settle (key, _token, { entry }) {
    if (entry !== undefined) correct.set(key, entry)
    return true
  }
})
export const storesUnchecked = beforeSettle((key, token, settlement, { correct }) => {
  if (settlement.entry === undefined) return undefined
  correct.settle(key, token, settlement)
  correct.set(key, settlement.entry)
  return true
})
export const removesWithoutEntry = afterSettle((key, _token, { entry }, { entries }) => { if (entry === undefined) entries.delete(key) })
export const keepsExpiry = entriesAs((entry, key, { correct }) => ({ ...entry, expiresAt: correct.get(key)?.expiresAt ?? entry.expiresAt }))
export const settlesForever = entriesAs((entry) => ({ ...entry, expiresAt: entry.expiresAt + LIFE_MS }))
export const olderWins = beforeSettle((key, token, settlement, { correct, entries }) =>
  correct.settle(key, token, { ...settlement, replaces: entries.get(key)?.expiresAt ?? 0 }))
export const firstWins = beforeSettle((key, _token, _settlement, { leases }) => (leases.get(key)?.stored ?? 0) > 0 ? false : undefined)
export const ignoresReplaces = settleAs((settlement) => ({ ...settlement, replaces: undefined }))
export const notReplacedIsVoid = afterSettle((key, _token, { replaces }, { leases }, stored) => {
  if (replaces !== undefined && !stored) leases.delete(key)
})
export const replacesIsUnchecked = beforeSettle((key, _token, { entry, replaces }, { correct }) => {
  if (entry === undefined || replaces === undefined) return undefined
  correct.set(key, entry)
  return true
})
export const storesTwice = afterSettle((key, _token, _settlement, { leases }, stored) => { if (stored) leases.get(key)!.stored-- })
export const onlyHolderStores = beforeSettle((key, token, _settlement, { leases }) =>
  leases.get(key)?.holder === 0 || leases.get(key)?.holder === numberOf(token) ? undefined : false)
export const failsOnMadeUp = beforeSettle((_key, token) => { if (token.split(' ').length !== 3) throw new SyntaxError('not a token') })
export const tokensOfAnyKey = beforeSettle((key, token, { entry }, { correct, leases }) => {
  const isKnown = [...leases.values()].some(({ epoch }) => epoch === epochOf(token))
  if (entry === undefined || !isKnown || leases.get(key)?.epoch === epochOf(token)) return undefined
  correct.set(key, entry)
  return true
})

// What makes tokens invalid.
export const survivesDelete: Breakage = ({ entries }) => ({ delete (key) { entries.delete(key) } })
export const survivesClear: Breakage = ({ correct, entries }) => ({
  clear (prefix) {
    if (prefix === undefined) entries.clear()
    else correct.clear(prefix)
  }
})
export const survivesPrefix: Breakage = ({ correct, entries }) => ({
  clear (prefix) {
    if (prefix === undefined) return correct.clear()
    for (const key of [...entries.keys()]) if (key.startsWith(prefix)) entries.delete(key)
  }
})
export const survivesSet: Breakage = ({ correct, entries, now }) => ({
  set (key, entry) {
    if (entry.expiresAt > now()) entries.set(key, entry)
    else correct.set(key, entry)
  }
})
export const survivesExpiredSet: Breakage = ({ correct, entries, now }) => ({
  set (key, entry) {
    if (entry.expiresAt > now()) correct.set(key, entry)
    else entries.delete(key)
  }
})
export const sameEpoch: Breakage = afterClaim((key, { token }, { leases }, came) => {
  if (!('token' in came) || token !== undefined) return came
  leases.get(key)!.epoch = 'epoch'
  return { token: came.token.replace(/^\S+/, 'epoch') }
})
export const aloneByAnyToken = afterSettle((key, _token, { aloneMs = 0 }, { leases, now }) => {
  const record = leases.get(key)
  if (record !== undefined && aloneMs > 0) record.aloneUntil = now() + aloneMs
})
export const voidsAll: Breakage = ({ correct, leases }) => ({
  delete (key) {
    correct.delete(key)
    leases.clear()
  }
})
export const checksTokenFirst: Breakage = ({ correct }) => ({
  async settle (key, token, { entry }) {
    const isValid = 'token' in correct.claim(key, { leaseMs: 0, fillMs: 0, token })
    await null
    if (!isValid || entry === undefined) return correct.settle(key, token, {})
    correct.set(key, entry)
    return true
  }
})
export const uncheckedWithoutLease: Breakage = ({ correct }) => {
  const unchecked = new Set<string>()
  return {
    claim (key, options) {
      const came = correct.claim(key, options)
      if ('token' in came && options.leaseMs === 0) unchecked.add(came.token)
      return came
    },
    settle (key, token, settlement) {
      if (!unchecked.has(token) || settlement.entry === undefined) return correct.settle(key, token, settlement)
      correct.set(key, settlement.entry)
      return true
    }
  }
}

/** Entries that are settled are kept apart from those that are set. */
export const settlesAside: Breakage = ({ correct, entries }) => {
  const aside = new Map<string, StoredEntry>()
  return {
    get: (key) => correct.get(key) ?? aside.get(key),
    settle (key, token, settlement) {
      const stored = correct.settle(key, token, settlement)
      if (stored) aside.set(key, entries.get(key)!)
      if (stored) entries.delete(key)
      return stored
    }
  }
}

/** Keys pass through `change`, so that some different keys become the same. */
export const claimedKeysAs = (change: (key: string) => string): Breakage => ({ correct }) => ({
  get: (key) => correct.get(change(key)),
  delete: (key) => correct.delete(change(key)),
  claim: (key, options) => correct.claim(change(key), options),
  settle: (key, token, settlement) => correct.settle(change(key), token, settlement)
})

export const hangsAfterClose: Breakage = ({ correct }) => {
  let isClosed = false
  return {
    close () { isClosed = true },
    settle: (key, token, settlement) => isClosed ? never : correct.settle(key, token, settlement)
  }
}
export const waitsForOthers = beforeClaim((key) => key === 'other' ? never as never : undefined)
