// A store whose calls hang, fail or find garbage on command, a correct backend on it, and the subject with every lever that this makes.
import { Barrier } from './barrier.js'
import { testClock } from './clock.js'
import { mapBackend } from './map-backend.js'
import { fewAtOnce, oneQueue } from './slow-store.js'
import type { CacheBackend, StoredEntry } from '../../registry/backend.js'
import type { ConformanceSubject } from '../kit/index.js'

const SLOW_MS = 50
const AT_ONCE = 8
const CRAMPED_BYTES = 4 * 2 ** 20

/** The way to stores: all of them hang, fail, are full or slow with it. */
export class Network {
  state: 'well' | 'hangs' | 'fails' | 'is full' | 'is slow' = 'well'
  #barrier = new Barrier()
  readonly #queue = oneQueue(SLOW_MS, AT_ONCE)

  /** What `act` comes to, when the network lets it through. Calls that hang are let go in the order in which they came. */
  async call<T> (act: () => T): Promise<T> {
    if (this.state === 'hangs') await this.#barrier.pass()
    await null
    if (this.state === 'fails') throw new Error('the store is down')
    return act()
  }

  /** As `call`, of a change: a store that is slow takes its time for it, behind what it was given before. */
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
  /** What the store holds. Another one when all of it was removed: whoever keeps the old one has a file open that is gone. */
  readonly entries: Map<string, StoredEntry>
  readonly now: () => number
  /** How much the store has room for. */
  readonly roomBytes?: number
  /** Whether a group was given rights on it. */
  readonly isLoose?: boolean
  /** A client that is lent. */
  readonly client?: { isOpen: boolean }
}

export type StoreBackend = Required<CacheBackend>

const isEntry = (found: StoredEntry | undefined): boolean =>
  found === undefined || (found.value instanceof Uint8Array && Number.isFinite(found.expiresAt))

/** Sets an entry where there is room for it, if need be in place of older ones. */
function keep ({ network, entries, roomBytes }: StoreGiven, set: () => void): void {
  if (network.state === 'is full') throw new Error('there is no room')
  set()
  if (roomBytes === undefined) return
  let bytes = 0
  for (const { value } of entries.values()) bytes += value.byteLength
  for (const [key, { value }] of entries) {
    if (bytes <= roomBytes) return
    entries.delete(key)
    bytes -= value.byteLength
  }
}

/** Whether a change is still the last one of its key. */
function lastChanges (): (key: string) => () => boolean {
  const last = new Map<string, object>()
  return (key) => {
    const mine = {}
    last.set(key, mine)
    return () => last.get(key) === mine
  }
}

/**
 * A correct backend: what waits ends when it is closed, and what was given up then is not carried out. Sets wait for others, and deletes
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
    close () {
      closed = true
      end(new Error('it was closed'))
    },
    has: (key) => ask(() => sound(key) !== undefined),
    clear: (prefix) => ask(() => held().clear(prefix), 'change'),
    keys: (pattern) => ask(() => held().keys(pattern)),
    size: () => ask(() => held().size()),
    stats: () => ask(() => ({ entries: held().size() })),
    getMany: (keys) => ask(() => keys.map(sound))
  }
}

export type OpenStore = (given: StoreGiven) => CacheBackend | Promise<CacheBackend>

/** What can be done to the way to a store. */
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

/** Every lever but a program of its own. `open` makes the backends. */
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
