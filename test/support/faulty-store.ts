// A store whose calls hang, fail or return garbage on command, a correct backend on it, and a subject with every lever that this allows.
import { Barrier } from './barrier.js'
import { testClock } from './clock.js'
import { mapBackend } from './map-backend.js'
import { fewAtOnce, oneQueue } from './slow-store.js'
import type { CacheBackend, StoredEntry } from '../../registry/backend.js'
import { refusal } from '../../registry/refusal.js'
import type { ConformanceSubject } from '../kit/index.js'

const SLOW_MS = 50
const AT_ONCE = 8
const CRAMPED_BYTES = 4 * 2 ** 20

/** The network before stores: it makes all of them hang, fail, be full or be slow. */
export class Network {
  state: 'well' | 'hangs' | 'fails' | 'is full' | 'is slow' = 'well'
  #barrier = new Barrier()
  readonly #queue = oneQueue(SLOW_MS, AT_ONCE)

  /** Returns the result of `act` once the network lets it through. Hanging calls are let go in the order in which they came. */
  async call<T> (act: () => T): Promise<T> {
    if (this.state === 'hangs') await this.#barrier.pass()
    await null
    if (this.state === 'fails') throw new Error('the store is down')
    return act()
  }

  /** Like `call`, for a change: a slow store takes its time, after the changes before it. */
  async change<T> (act: () => T): Promise<T> {
    if (this.state === 'is slow') await this.#queue(() => {})
    return await this.call(act)
  }

  become (state: Exclude<Network['state'], 'well'>): () => void {
    this.state = state
    return () => {
      this.state = 'well'
      const held = this.#barrier
      this.#barrier = new Barrier()
      held.open()
    }
  }
}

export interface StoreGiven {
  readonly network: Network
  /** The entries of the store. A new map after all of them were removed: a backend that keeps the old map has a removed file open. */
  readonly entries: Map<string, StoredEntry>
  readonly now: () => number
  /** How many bytes the store has room for. */
  readonly roomBytes?: number
  /** Whether a group has rights on it. */
  readonly isLoose?: boolean
  /** A caller-owned client. */
  readonly client?: { isOpen: boolean }
}

export type StoreBackend = Required<CacheBackend>

const isEntry = (found: StoredEntry | undefined): boolean =>
  found === undefined || (found.value instanceof Uint8Array && Number.isFinite(found.expiresAt))

/** Stores something if there is room for it, or by evicting older entries. */
function keep<T> ({ network, entries, roomBytes = Infinity }: StoreGiven, store: () => T): T {
  if (network.state === 'is full') throw refusal(new Error('there is no room'))
  const result = store()
  let bytes = 0
  if (roomBytes < Infinity) for (const { value } of entries.values()) bytes += value.byteLength
  for (const [key, { value }] of entries) {
    if (bytes <= roomBytes) break
    entries.delete(key)
    bytes -= value.byteLength
  }
  return result
}

/** Returns a function that tells whether a change is still the last one of its key. */
function lastChanges (): (key: string) => () => boolean {
  const last = new Map<string, object>()
  return (key) => {
    const mine = {}
    last.set(key, mine)
    return () => last.get(key) === mine
  }
}

/**
 * A correct backend: close ends waiting calls, and a call that was given up is not carried out. Sets wait for other sets, and deletes
 * don't.
 */
export function storeBackend (given: StoreGiven): StoreBackend {
  const { network, now } = given
  const held = () => mapBackend(now, given.entries)
  const few = fewAtOnce(AT_ONCE)
  const change = lastChanges()
  let closed = false
  let end: (error: Error) => void = () => {}
  const closing = new Promise<never>((_resolve, reject) => { end = reject })
  closing.catch(() => {})
  const refuse = (): void => { if (closed) throw new Error('it is closed') }
  const ask = async <T> (act: () => T, way: 'call' | 'change' = 'call'): Promise<T> => {
    refuse()
    return await Promise.race([network[way](() => { refuse(); return act() }), closing])
  }
  const stored = <T> (act: () => T): Promise<T> => ask(() => keep(given, act), 'change')
  const sound = (key: string): StoredEntry | undefined => isEntry(given.entries.get(key)) ? held().get(key) : undefined
  return {
    get: (key) => ask(() => sound(key)),
    set (key, entry) {
      const isLast = change(key)
      return few(() => ask(() => { if (isLast()) keep(given, () => held().set(key, entry)) }, 'change'))
    },
    delete (key) {
      change(key)
      return ask(() => held().delete(key), 'change')
    },
    close () { closed = true; end(new Error('it was closed')) },
    has: (key) => ask(() => sound(key) !== undefined),
    clear: (prefix) => ask(() => held().clear(prefix), 'change'),
    keys: (pattern) => ask(() => held().keys(pattern)),
    size: () => ask(() => held().size()),
    stats: () => ask(() => ({ entries: held().size() })),
    getMany: (keys) => ask(() => keys.map(sound)),
    claim: (key, options) => stored(() => held().claim(key, options)),
    // After the sets that were called before it. A delete need not wait for it, because it makes the token invalid.
    settle: (key, token, settlement) => few(() => stored(() => held().settle(key, token, settlement))),
    version: (name, raise) => ask(() => held().version(name, raise), 'change')
  }
}

export type OpenStore = (given: StoreGiven) => CacheBackend | Promise<CacheBackend>

/** The levers of the network before a store. */
function leversOf (network: Network): Partial<ConformanceSubject> {
  return {
    hang: () => network.become('hangs'),
    fail: () => network.become('fails'),
    fill: () => network.become('is full'),
    slow: () => network.become('is slow'),
    kill () {
      const heal = network.become('fails')
      setTimeout(heal, 5)
    }
  }
}

/** A subject with every lever except for a program of its own. `open` makes the backends. */
export function storeSubject (open: OpenStore = storeBackend): ConformanceSubject {
  const clock = testClock()
  const network = new Network()
  let store = { entries: new Map<string, StoredEntry>(), isLoose: false }
  const again = async (more: Partial<StoreGiven> = {}): Promise<CacheBackend> => {
    const mine = store
    return await open({ network, get entries () { return mine.entries }, now: clock.now, isLoose: mine.isLoose, ...more })
  }
  const anew = (): void => { store = { entries: new Map(), isLoose: false } }
  return {
    ...clock,
    async open () {
      anew()
      return await again()
    },
    reopen: () => again(),
    share: () => again(),
    async lend () {
      const client = { isOpen: true }
      return { backend: await again({ client }), isOpen: () => client.isOpen, release () { client.isOpen = false } }
    },
    footprint: () => store.entries.size,
    ...leversOf(network),
    garble () {
      for (const key of store.entries.keys()) store.entries.set(key, { garbage: true } as unknown as StoredEntry)
      return () => {}
    },
    remove () { store.entries = new Map() },
    loosen () { store.isLoose = true },
    async cramped () {
      anew()
      return await again({ roomBytes: CRAMPED_BYTES })
    }
  }
}
