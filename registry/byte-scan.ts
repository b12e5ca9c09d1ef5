// What walks over all that lies in a store of bytes: clear by prefix, keys by pattern, size, and the sweep of what is over.
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClearOptions } from './backend.js'
import type { ByteStore } from './byte-store.js'
import type { BoundedCalls } from './bounded-calls.js'
import { CACHE_ERR_CLOSED } from './errors.js'
import { keyOf, nameOf, readHead } from './codec.js'
import { matchesGlob } from './glob.js'

/** What a scan needs around it. */
export interface ByteScanOptions {
  readonly store: ByteStore
  readonly calls: BoundedCalls
  readonly now: () => number
  /** Forgets a key. */
  readonly delete: (key: string) => Promise<void>
  /** Forgets a key whose entry is over. */
  readonly drop: (key: string) => Promise<void>
}

/** An entry, as far as its head tells; without one it is damaged or somebody else's. */
interface Found {
  readonly name: string
  readonly head?: { readonly key: string, readonly expiresAt: number }
}

// What is remembered before it is removed: stores that page by number lose their place when something goes in front of it.
const MOST_REMEMBERED = 10_000
// And what another process removes meanwhile moves their place, too: walked again until nothing is found.
const MOST_WALKS = 3
const AT_ONCE = 8
const SWEPT_AT_ONCE = 20
const SWEEP_PAUSE_MS = 5

/** Walks over one store. */
export class ByteScan {
  readonly #options: ByteScanOptions
  /** What was damaged, or half written, when it was last looked at. */
  #damaged = new Set<string>()

  constructor (options: ByteScanOptions) {
    this.#options = options
  }

  /** Forgets the keys that begin with `prefix`. */
  async clear (prefix: string, { onProgress }: ClearOptions = {}): Promise<void> {
    const { calls, delete: forget } = this.#options
    // What is on its way would be there afterwards.
    await Promise.all(calls.keysWriting(prefix).map((key) => forget(key)))
    let before = new Map<string, Found>()
    for (let walks = 0; walks < MOST_WALKS;) {
      const found = new Map<string, Found>()
      for await (const one of this.#walk('clear', prefix !== '')) {
        if (prefix === '' || one.head?.key.startsWith(prefix) === true) found.set(one.name, one)
        onProgress?.(0)
        if (found.size >= MOST_REMEMBERED) break
      }
      if (found.size === 0) return
      await this.#removeAll([...found.values()], before, onProgress)
      if (found.size < MOST_REMEMBERED) walks++
      before = found
    }
  }

  /** The keys of live entries that match `pattern`. */
  async keys (pattern: string): Promise<string[]> {
    const found = new Set<string>()
    for await (const { head } of this.#walk('keys', true)) {
      if (head !== undefined && head.expiresAt > this.#options.now() && matchesGlob(pattern, head.key)) found.add(head.key)
    }
    return [...found]
  }

  /** The number of entries, those that are over among them. */
  async size (): Promise<number> {
    const found = new Set<string>()
    for await (const { name } of this.#walk('size', false)) found.add(name)
    return found.size
  }

  /** Removes what is over, in small steps. The background task. */
  async sweep (): Promise<void> {
    const { store, calls, now, drop } = this.#options
    const damaged = new Set<string>()
    try {
      let looked = 0
      for await (const { name, head } of this.#walk('sweep', true)) {
        if (head !== undefined && head.expiresAt <= now()) await drop(head.key)
        if (head === undefined && this.#damaged.has(name)) await calls.run('delete', () => store.delete(name))
        else if (head === undefined && damaged.size < MOST_REMEMBERED) damaged.add(name)
        if (++looked % SWEPT_AT_ONCE === 0) await sleep(SWEEP_PAUSE_MS)
      }
    } catch (error) {
      if (!(error instanceof CACHE_ERR_CLOSED)) throw error
    }
    this.#damaged = damaged
  }

  /**
   * `before`: what was removed already. Where that is found again, somebody has set it meanwhile, or the store doesn't do what it is told.
   */
  async #removeAll (found: readonly Found[], before: ReadonlyMap<string, Found>, onProgress: ClearOptions['onProgress']): Promise<void> {
    for (let at = 0; at < found.length; at += AT_ONCE) {
      const some = found.slice(at, at + AT_ONCE)
      await Promise.all(some.map((one) => before.has(one.name) ? this.#removeForSure(one) : this.#remove(one)))
      onProgress?.(some.length)
    }
  }

  async #remove ({ name, head }: Found): Promise<void> {
    const { store, calls, delete: forget } = this.#options
    if (head !== undefined) await forget(head.key)
    else await calls.run('delete', () => store.delete(name))
  }

  /** Without that, a walk over a store that keeps everything would never end. */
  async #removeForSure (one: Found): Promise<void> {
    const { store, calls } = this.#options
    const held = await calls.run('clear', () => store.get(one.name))
    await this.#remove(one)
    const left = held === undefined ? undefined : await calls.run('clear', () => store.get(one.name))
    if (left !== undefined && Buffer.compare(left, held!) === 0) {
      throw calls.failure('clear', 'the store still has what it was told to delete')
    }
  }

  /** Everything under names that may be ours. With `heads`, bytes that don't come along are asked for. */
  async * #walk (operation: string, heads: boolean): AsyncGenerator<Found> {
    const { store, calls } = this.#options
    calls.refuseClosed(operation)
    const items = store.list!()
    try {
      for (;;) {
        const { done, value } = await calls.run(operation, () => items.next())
        if (done === true) return
        const bytes = value.bytes ?? (heads ? await calls.run(operation, () => store.get(value.name)) : undefined)
        yield bytes === undefined ? { name: value.name } : foundIn(value.name, bytes)
      }
    } finally {
      // It may be stuck in the very call that was given up.
      Promise.resolve(items.return?.()).catch(() => {})
    }
  }
}

function foundIn (name: string, bytes: Uint8Array): Found {
  const head = readHead(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), bytes.byteLength)
  return head !== undefined && nameOf(head.key) === name ? { name, head: { key: keyOf(head.key), expiresAt: head.expiresAt } } : { name }
}
