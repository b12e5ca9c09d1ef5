// Broken backends by the name of the case of `coordination` that must find what is broken.
import type { StoredEntry } from '../../../registry/backend.js'
import { ofMap, type Broken } from './broken.js'
import * as leases from './leases.js'
import { sharedLeases } from './shared-leases.js'
import { brokenVersions, clearedWithEntries } from './versions.js'
import type { Breakage } from './ways.js'

/** What an index that knows leases as entries would return. */
const LEASE: StoredEntry = { value: new Uint8Array(0), expiresAt: Infinity }

const who: Readonly<Record<string, Breakage>> = {
  'claim: one of two concurrent claims gets a token, and the other learns for how long to wait': leases.ignoresLease,
  'claim: of many concurrent claims, exactly one gets a token': leases.checksLeaseFirst,
  'claim: busyMs is what is left of the lease': leases.saysWholeLease,
  'claim: a lease ends by itself, and the next claim gets another token': leases.leaseInSeconds,
  'claim: of many concurrent claims after a lease has ended, exactly one gets a token': leases.checksLeaseFirst,
  'claim: settle without an entry gives the lease back at once': leases.leaksLease,
  'claim: settle with an entry ends the lease at once': leases.keepsLeaseOfEntry,
  'claim: an entry that has expired is not stored, and the lease is given back': leases.forgetsExpired,
  'claim: a lease is for one key': leases.oneLeaseForAll,
  'claim: after a settle with aloneMs, every claim gets a token of its own at once': leases.ignoresAlone,
  'claim: aloneMs ends by itself, and until then there are no leases': leases.leasesAlone,
  'claim: a claim with leaseMs 0 gets a token beside a lease, and the lease stays': leases.stealsWithoutLease,
  'claim: a claim with leaseMs 0 takes no lease': leases.alwaysLeases,
  'claim: only the token that has the lease gives it back': leases.anyoneEndsLease
}

const prolonging: Readonly<Record<string, Breakage>> = {
  'claim: a claim with the token that has the lease returns the same token': leases.prolongsByNewToken,
  'claim: a lease that is prolonged ends later': leases.neverProlongs,
  'claim: a prolonged lease ends leaseMs later, not leaseMs after it would have ended': leases.addsUp,
  'claim: a lease that has ended can be taken again with its token, if nobody else has it': leases.prolongsOnlyRunning,
  'claim: a lease that somebody else has by now is not taken from them': leases.prolongsOverOthers,
  'claim: a claim with leaseMs 0 and a token leaves every lease as it is': leases.endsWhenAsked,
  'claim: a claim with an invalid token returns busyMs, and gives out no token and no lease': leases.claimsAnew,
  'claim: a claim with a token whose fillMs has passed returns busyMs': leases.ignoresFill,
  'claim: a claim with a token with which an entry was stored returns busyMs, and gives out no lease': leases.prolongsStored,
  'claim: a claim with a valid token returns the token even if there is an entry': leases.entryBeforeToken
}

const found: Readonly<Record<string, Breakage>> = {
  'claim: an entry that was set is returned': leases.looksForNoEntry,
  'claim: an empty value is an entry': leases.emptyIsNone,
  'claim: a value of 1 MiB with all bytes survives': leases.smallValues,
  'claim: an expired entry is no entry': leases.findsExpired,
  'claim: with seen, an entry that the caller has seen does not keep it from a token': leases.ignoresSeen,
  'claim: with seen, an entry that the caller has not seen is returned': leases.anySeen,
  'claim: the entry that was seen is returned by get while its key is claimed, and after that': leases.removesSeen,
  'claim: whoever has waited finds the entry that was settled': leases.remembersBusy,
  'claim: whoever has waited with seen finds the entry that replaced the one that was seen': leases.anySeen,
  'claim: an entry that the caller has not seen is returned even beside a lease': leases.leaseFirst
}

const tokens: Readonly<Record<string, Breakage>> = {
  'claim: an entry that is settled is stored': leases.saysStored,
  'claim: settle returns true only if the entry is stored': leases.storesAlways,
  'claim: a settle without an entry leaves the entry that was seen': leases.removesWithoutEntry,
  'claim: an entry that is settled replaces the value and the expiresAt of the one that was seen': leases.keepsExpiry,
  'claim: an entry that was settled expires like one that was set': leases.settlesForever,
  'claim: of two tokens, an older one does not overwrite the entry of a younger one': leases.olderWins,
  'claim: of two tokens, a younger one overwrites the entry of an older one': leases.firstWins,
  'claim: with replaces, an older token replaces the entry of a younger one': leases.ignoresReplaces,
  'claim: with replaces, no other entry is replaced, and the token stays valid': leases.notReplacedIsVoid,
  'claim: with replaces, an invalid token still stores nothing': leases.replacesIsUnchecked,
  'claim: a token stores one entry': leases.storesTwice,
  'claim: of concurrent settles of one token, one stores its entry': leases.checksTokenFirst,
  'claim: a token is valid after its lease has ended, and does not end the lease of another': leases.onlyHolderStores,
  'claim: after fillMs, a token stores nothing': leases.ignoresFill,
  'claim: a token that was made up has no effect': leases.failsOnMadeUp,
  'claim: a token of another key has no effect': leases.tokensOfAnyKey
}

const voided: Readonly<Record<string, Breakage>> = {
  'claim: after a delete, a token stores nothing, and the old entry is gone': leases.survivesDelete,
  'claim: after a clear, a token stores nothing, and the old entry is gone': leases.survivesClear,
  'claim: after a clear of a prefix, a token stores nothing, and the old entry is gone': leases.survivesPrefix,
  'claim: after a set, a token stores nothing, and the entry that was set stays': leases.survivesSet,
  'claim: after a set of an expired entry, a token stores nothing': leases.survivesExpiredSet,
  'claim: after a delete and a new claim, the old token stores nothing, and the new one does': leases.sameEpoch,
  'claim: after a delete, settling the old token without an entry leaves the new lease': leases.aloneByAnyToken,
  'claim: changes of other keys leave a token valid': leases.voidsAll,
  'claim: settle takes effect in the order of the calls, before and after a set or a delete': leases.checksTokenFirst,
  'claim: what was settled with leaseMs 0 is checked too': leases.uncheckedWithoutLease
}

const withKeys = (kind: string): string => `claim: keys ${kind} can be claimed and settled, each on its own`

const keys: Readonly<Record<string, Breakage>> = {
  [withKeys('with braces')]: leases.claimedKeysAs((key) => /\{(.+?)\}/.exec(key)?.[1] ?? key),
  [withKeys('with white space')]: leases.claimedKeysAs((key) => key.replace(/\s+/g, ' ')),
  [withKeys('with a NUL or other control characters')]: leases.claimedKeysAs((key) => key.split('\0')[0]!),
  [withKeys('with lone surrogates')]: leases.claimedKeysAs((key) => Buffer.from(key).toString()),
  [withKeys('of 10,000 characters')]: leases.claimedKeysAs((key) => key.slice(0, 8_000)),
  [withKeys('that differ only in case or form')]: leases.claimedKeysAs((key) => key.toLowerCase()),
  [withKeys('that look like paths, patterns or names of a store')]: leases.claimedKeysAs((key) => new URL(key, 'http://cache/').href)
}

const hidden: Readonly<Record<string, Breakage>> = {
  'claim: a key that is only claimed is a miss': ({ correct, leases }) => ({
    get: (key) => correct.get(key) ?? (leases.has(key) ? LEASE : undefined)
  }),
  'has: leaves out keys that are only claimed': ({ correct, leases }) => ({ has: (key) => correct.has(key) || leases.has(key) }),
  'getMany: leaves out keys that are only claimed': ({ correct, leases }) => ({
    getMany: (keys) => keys.map((key) => correct.get(key) ?? (leases.has(key) ? LEASE : undefined))
  }),
  'keys: leaves out keys that are only claimed': ({ correct, leases }) => ({
    keys: (pattern) => [...new Set([...correct.keys(pattern), ...leases.keys()])]
  }),
  'size: leaves out keys that are only claimed': ({ entries, leases }) => ({
    size: () => new Set([...entries.keys(), ...leases.keys()]).size
  }),
  'stats: leaves out keys that are only claimed': ({ entries, leases }) => ({ stats: () => ({ entries: entries.size + leases.size }) }),
  'claim: an entry that was settled is an entry for every method': leases.settlesAside,
  'claim: an entry that was settled is deleted and cleared like one that was set': leases.settlesAside
}

const life: Readonly<Record<string, Breakage>> = {
  'claim: after close, a claim or a settle fails or returns, and never hangs': leases.hangsAfterClose,
  'claim: close settles while claims and settles are pending, and so do they': leases.waitsForOthers
}

export const brokenCoordination: Readonly<Record<string, Broken>> = {
  ...Object.fromEntries(Object.entries({ ...who, ...prolonging, ...found, ...tokens, ...voided, ...keys, ...hidden, ...life })
    .map(([name, breakage]) => [name, ofMap(breakage)])),
  ...sharedLeases,
  ...brokenVersions
}

/** Mistakes that other caches have made, or that are easily made: what is wrong, a case that must find it, and the backend. */
export const leaseMistakes: ReadonlyArray<readonly [mistake: string, name: string, breakage: Breakage]> = [
  [
    'a lock that nothing checks at the write (layercache)',
    'claim: after a delete, a token stores nothing, and the old entry is gone',
    leases.storesUnchecked
  ],
  [
    'a lease that is not given back without an entry (FusionCache #644)',
    'claim: settle without an entry gives the lease back at once',
    leases.leaksLease
  ],
  ['a token that survives a delete', 'claim: after a delete, a token stores nothing, and the old entry is gone', leases.survivesDelete],
  ['a token that survives a clear', 'claim: after a clear, a token stores nothing, and the old entry is gone', leases.survivesClear],
  [
    'a token that survives a clear of its prefix',
    'claim: after a clear of a prefix, a token stores nothing, and the old entry is gone',
    leases.survivesPrefix
  ],
  ['a token that survives a set', 'claim: after a set, a token stores nothing, and the entry that was set stays', leases.survivesSet],
  ['a settle that always says true, and stores nothing', 'claim: an entry that is settled is stored', leases.saysStored],
  [
    'a settle that always says true, and stores',
    'claim: after a delete, a token stores nothing, and the old entry is gone',
    leases.storesAlways
  ],
  ['a claim that ignores seen', 'claim: with seen, an entry that the caller has seen does not keep it from a token', leases.ignoresSeen],
  [
    'a claim that ignores the lease',
    'claim: one of two concurrent claims gets a token, and the other learns for how long to wait',
    leases.ignoresLease
  ],
  [
    'prolonging that gives out a new token',
    'claim: a claim with the token that has the lease returns the same token',
    leases.prolongsByNewToken
  ],
  [
    'a claim with leaseMs 0 that takes the lease from its holder',
    'claim: a claim with leaseMs 0 gets a token beside a lease, and the lease stays',
    leases.stealsWithoutLease
  ],
  [
    'an older token that overwrites the entry of a younger one',
    'claim: of two tokens, an older one does not overwrite the entry of a younger one',
    leases.olderWins
  ],
  ['a fillMs that is ignored', 'claim: after fillMs, a token stores nothing', leases.ignoresFill],
  ['a version that begins again after a clear', 'version: does not begin again after clear or delete', clearedWithEntries],
  ['a lease that size counts', 'size: leaves out keys that are only claimed', hidden['size: leaves out keys that are only claimed']!],
  ['a lease that keys returns', 'keys: leaves out keys that are only claimed', hidden['keys: leaves out keys that are only claimed']!]
]
