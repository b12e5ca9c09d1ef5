// Walks over all items of a store of bytes, for `clear`, `keys` and `size`, and to sweep out expired entries.
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

/** An item in the store. `head` is absent if the item is damaged, if other code wrote it, or if its bytes were not read. */
interface ScannedItem {
  readonly name: string
  readonly head?: { readonly key: string, readonly expiresAt: number }
}

// The most items that a walk collects before they are removed. If they were removed during the walk, a store that lists its items page by
// page would skip some.
const MOST_REMEMBERED = 10_000
// The limit on complete walks of one `clear`. It walks until it finds nothing, because a walk can miss items while other processes remove
// some.
const MOST_WALKS = 3
const AT_ONCE = 8
const SWEPT_AT_ONCE = 20
const SWEEP_PAUSE_MS = 5

/** Walks over one store. */
export class ByteScan {
  readonly #options: ByteScanOptions
  /**
   * The names of items that the last sweep found damaged. Some of these items may have been only half written at that time. The next sweep
   * removes those that are still damaged.
   */
  #damaged = new Set<string>()

  constructor (options: ByteScanOptions) {
    this.#options = options
  }

  /** Removes the entries of keys that begin with `prefix`. */
  async clear (prefix: string, { onProgress }: ClearOptions = {}): Promise<void> {
    const { calls, delete: forget } = this.#options
    // A set that is still running could take effect after the walk. A delete of its key waits for the set and then removes the entry.
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

  /** Returns the keys that match `pattern`, without those of expired entries. */
  async keys (pattern: string): Promise<string[]> {
    const found = new Set<string>()
    for await (const { head } of this.#walk('keys', true)) {
      if (head !== undefined && head.expiresAt > this.#options.now() && matchesGlob(pattern, head.key)) found.add(head.key)
    }
    return [...found]
  }

  /** Returns the number of entries, including expired ones. */
  async size (): Promise<number> {
    const found = new Set<string>()
    for await (const { name } of this.#walk('size', false)) found.add(name)
    return found.size
  }

  /** Runs as a background task. Removes expired entries, and items that were damaged in two sweeps in a row. Pauses now and then. */
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
   * Removes the items `found`. If an item is also in `before`, it was removed once already. Either it has been set again since then, or the
   * store did not remove it, so this time the removal is checked.
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

  /** Removes an item, and throws if the store still has it. Otherwise, walks would find the same item again and again. */
  async #removeForSure (one: ScannedItem): Promise<void> {
    const { store, calls } = this.#options
    const held = await calls.run('clear', () => store.get(one.name))
    await this.#remove(one)
    const left = held === undefined ? undefined : await calls.run('clear', () => store.get(one.name))
    if (left !== undefined && Buffer.compare(left, held!) === 0) {
      throw calls.failure('clear', 'the store still has a value that it was told to delete')
    }
  }

  /** Yields all items that may be entries. If `heads` is true, reads the bytes of the items that the store lists without bytes. */
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
      // This is not awaited, because the iterator may still hang in a call that timed out.
      Promise.resolve(items.return?.()).catch(() => {})
    }
  }
}

function foundIn (name: string, bytes: Uint8Array): ScannedItem {
  const head = readHead(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), bytes.byteLength)
  return head !== undefined && nameOf(head.key) === name ? { name, head: { key: keyOf(head.key), expiresAt: head.expiresAt } } : { name }
}
