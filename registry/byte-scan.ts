// Walks over a store of bytes: clear by prefix, keys by pattern, size, and the sweep of expired entries.
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClearOptions } from './backend.js'
import type { ByteStore } from './byte-store.js'
import type { BoundedCalls } from './bounded-calls.js'
import { CACHE_ERR_CLOSED } from './errors.js'
import { keyOf, nameOf, readHead } from './codec.js'
import { matchesGlob } from './glob.js'

/** Options and dependencies of a scan. */
export interface ByteScanOptions {
  readonly store: ByteStore
  readonly calls: BoundedCalls
  readonly now: () => number
  /** Removes the entry of a key. */
  readonly delete: (key: string) => Promise<void>
  /** Removes the entry of a key if it has expired. */
  readonly drop: (key: string) => Promise<void>
}

/** An item of the store. It has no head if it is damaged, if other code wrote it, or if its bytes were not read. */
interface ScannedItem {
  readonly name: string
  readonly head?: { readonly key: string, readonly expiresAt: number }
}

// Limit on items that are collected before they are removed. They are not removed during the walk, because a store that lists its items
// page by page would then skip some.
const MOST_REMEMBERED = 10_000
// Limit on complete walks. A walk is repeated until it finds nothing, because it skips items if other processes remove some meanwhile.
const MOST_WALKS = 3
const AT_ONCE = 8
const SWEPT_AT_ONCE = 20
const SWEEP_PAUSE_MS = 5

/** Walks over one store. */
export class ByteScan {
  readonly #options: ByteScanOptions
  /**
   * Items that the last sweep found damaged. Some may only have been half written then. The next sweep removes those that are still
   * damaged.
   */
  #damaged = new Set<string>()

  constructor (options: ByteScanOptions) {
    this.#options = options
  }

  /** Removes the entries of keys that begin with `prefix`. */
  async clear (prefix: string, { onProgress }: ClearOptions = {}): Promise<void> {
    const { calls, delete: forget } = this.#options
    // A set that is under way could take effect after the walk. A delete waits for the set and then removes its entry.
    await Promise.all(calls.keysWriting(prefix).map((key) => forget(key)))
    let before = new Map<string, ScannedItem>()
    for (let walks = 0; walks < MOST_WALKS;) {
      const found = new Map<string, ScannedItem>()
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

  /** The number of entries, including expired ones. */
  async size (): Promise<number> {
    const found = new Set<string>()
    for await (const { name } of this.#walk('size', false)) found.add(name)
    return found.size
  }

  /** The background task: removes expired entries, with pauses, and items that were found damaged twice in a row. */
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
   * Removes items. Those in `before` were already removed by the previous walk. If such an item is found again, it was set meanwhile, or
   * the store did not remove it, so this removal is checked.
   */
  async #removeAll (
    found: readonly ScannedItem[], before: ReadonlyMap<string, ScannedItem>, onProgress: ClearOptions['onProgress']
  ): Promise<void> {
    for (let at = 0; at < found.length; at += AT_ONCE) {
      const some = found.slice(at, at + AT_ONCE)
      await Promise.all(some.map((one) => before.has(one.name) ? this.#removeForSure(one) : this.#remove(one)))
      onProgress?.(some.length)
    }
  }

  async #remove ({ name, head }: ScannedItem): Promise<void> {
    const { store, calls, delete: forget } = this.#options
    if (head !== undefined) await forget(head.key)
    else await calls.run('delete', () => store.delete(name))
  }

  /** Removes an item, and throws if the store still has it, because walks over such a store would find it again and again. */
  async #removeForSure (one: ScannedItem): Promise<void> {
    const { store, calls } = this.#options
    const held = await calls.run('clear', () => store.get(one.name))
    await this.#remove(one)
    const left = held === undefined ? undefined : await calls.run('clear', () => store.get(one.name))
    if (left !== undefined && Buffer.compare(left, held!) === 0) {
      throw calls.failure('clear', 'the store still has a value that it was told to delete')
    }
  }

  /** Yields all items whose names may be those of entries. With `heads`, reads the bytes of items that are listed without them. */
  async * #walk (operation: string, heads: boolean): AsyncGenerator<ScannedItem> {
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
      // Not awaited, because the iterator may still hang in a call that timed out.
      Promise.resolve(items.return?.()).catch(() => {})
    }
  }
}

function foundIn (name: string, bytes: Uint8Array): ScannedItem {
  const head = readHead(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), bytes.byteLength)
  return head !== undefined && nameOf(head.key) === name ? { name, head: { key: keyOf(head.key), expiresAt: head.expiresAt } } : { name }
}
