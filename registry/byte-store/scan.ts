// Walks over all items of a store of bytes, for `clear`, `keys` and `size`, and for the removal of expired entries.
import type { ClearOptions } from '../backend.js'
import type { ByteStore } from './byte-store.js'
import type { BoundedCalls } from './bounded-calls.js'
import { keyOf, nameOf, readHead } from '../codec.js'
import { matchesGlob } from '../glob.js'

/** Options and dependencies of a scan. */
export interface ByteScanOptions {
  readonly store: ByteStore
  readonly calls: BoundedCalls
  readonly now: () => number
  /** Removes the entry of a key. */
  readonly deleteKey: (key: string) => Promise<void>
}

/** An item in the store. `head` is absent if the item is damaged, if other code wrote it, or if its bytes were not read. */
export interface ScannedItem {
  readonly name: string
  readonly head?: { readonly key: string, readonly expiresAt: number }
}

// The most items that a walk collects before they are removed. If they were removed during it, a store that lists by page would skip some.
const MOST_REMEMBERED = 10_000
// The limit on complete walks of one `clear`, which walks until it finds nothing. A walk can miss items while other processes remove some.
const MOST_WALKS = 3
const AT_ONCE = 8

/** Walks over one store. */
export class ByteScan {
  readonly #options: ByteScanOptions

  constructor (options: ByteScanOptions) {
    this.#options = options
  }

  /** Removes the entries of keys that begin with `prefix`. */
  async clear (prefix: string, { onProgress }: ClearOptions = {}): Promise<void> {
    const { calls, deleteKey } = this.#options
    // A set that is still running could take effect after the walk. A delete of its key waits for the set and then removes the entry.
    await Promise.all(calls.keysWriting(prefix).map((key) => deleteKey(key)))
    let before = new Map<string, ScannedItem>()
    for (let walks = 0; walks < MOST_WALKS;) {
      const found = new Map<string, ScannedItem>()
      for await (const one of this.walk('clear', prefix !== '')) {
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
    for await (const { head } of this.walk('keys', true)) {
      if (head !== undefined && head.expiresAt > this.#options.now() && matchesGlob(pattern, head.key)) found.add(head.key)
    }
    return [...found]
  }

  /** Returns the number of entries, including expired ones. */
  async size (): Promise<number> {
    const found = new Set<string>()
    for await (const { name } of this.walk('size', false)) found.add(name)
    return found.size
  }

  /** Removes the items `found`. Checks the removal of those also in `before`: they were set again, or the store did not remove them. */
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
    const { store, calls, deleteKey } = this.#options
    if (head !== undefined) await deleteKey(head.key)
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
  async * walk (operation: string, heads: boolean): AsyncGenerator<ScannedItem> {
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
