// A store whose calls hang, fail or find garbage on command, a correct backend on it, and the subject with every lever that this makes.
import { Barrier } from './barrier.js'
import { testClock } from './clock.js'
import { mapBackend } from './map-backend.js'
import type { CacheBackend, StoredEntry } from '../../registry/backend.js'
import type { ConformanceSubject } from '../kit/index.js'

/** The way to stores: all of them hang or fail with it. */
export class Network {
  state: 'well' | 'hangs' | 'fails' = 'well'
  #barrier = new Barrier()

  /** What `act` comes to, when the network lets it through. Calls that hang are let go in the order in which they came. */
  async call<T> (act: () => T): Promise<T> {
    if (this.state === 'hangs') await this.#barrier.pass()
    await null
    if (this.state === 'fails') throw new Error('the store is down')
    return act()
  }

  become (state: 'hangs' | 'fails'): () => void {
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
  /** What the store holds. */
  readonly entries: Map<string, StoredEntry>
  readonly now: () => number
  /** A client that is lent. */
  readonly client?: { isOpen: boolean }
}

export type StoreBackend = Required<CacheBackend>

const isEntry = (found: StoredEntry | undefined): boolean => found === undefined || (found.value instanceof Uint8Array && Number.isFinite(found.expiresAt))

/** A correct backend: what waits ends when it is closed, and what was given up then is not carried out. */
export function storeBackend ({ network, entries, now }: StoreGiven): StoreBackend {
  const held = mapBackend(now, entries)
  let closed = false
  let end: (error: Error) => void = () => {}
  const closing = new Promise<never>((_resolve, reject) => { end = reject })
  closing.catch(() => {})
  const refuse = (): void => { if (closed) throw new Error('it is closed') }
  const ask = async <T> (act: () => T): Promise<T> => {
    refuse()
    return await Promise.race([network.call(() => { refuse(); return act() }), closing])
  }
  const sound = (key: string): StoredEntry | undefined => isEntry(entries.get(key)) ? held.get(key) : undefined
  return {
    get: (key) => ask(() => sound(key)),
    set: (key, entry) => ask(() => held.set(key, entry)),
    delete: (key) => ask(() => held.delete(key)),
    close () {
      closed = true
      end(new Error('it was closed'))
    },
    has: (key) => ask(() => sound(key) !== undefined),
    clear: (prefix) => ask(() => held.clear(prefix)),
    keys: (pattern) => ask(() => held.keys(pattern)),
    size: () => ask(() => held.size()),
    stats: () => ask(() => ({ entries: held.size() })),
    getMany: (keys) => ask(() => keys.map(sound))
  }
}

export type OpenStore = (given: StoreGiven) => CacheBackend | Promise<CacheBackend>

/** Every lever but a program of its own. `open` makes the backends. */
export function storeSubject (open: OpenStore = storeBackend): ConformanceSubject {
  const clock = testClock()
  const network = new Network()
  let entries = new Map<string, StoredEntry>()
  const again = async (more: Partial<StoreGiven> = {}): Promise<CacheBackend> => await open({ network, entries, now: clock.now, ...more })
  return {
    ...clock,
    async open () {
      entries = new Map()
      return await again()
    },
    reopen: () => again(),
    share: () => again(),
    async lend () {
      const client = { isOpen: true }
      return { backend: await again({ client }), isOpen: () => client.isOpen, release () { client.isOpen = false } }
    },
    footprint: () => entries.size,
    hang: () => network.become('hangs'),
    fail: () => network.become('fails'),
    garble () {
      for (const key of entries.keys()) entries.set(key, { garbage: true } as unknown as StoredEntry)
      return () => {}
    },
    kill () {
      const heal = network.become('fails')
      setTimeout(heal, 5)
    }
  }
}
