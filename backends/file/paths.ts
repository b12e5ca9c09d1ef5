// The paths of keys' entries. Recent ones are remembered, because hashing a key takes as long as opening its file.
import { nameOf, storedKey } from '../../registry/codec.js'
import { ClockCache, type Member } from '../../registry/clock-cache.js'
import type { Folder } from './folder.js'
import type { CachedPath } from './read-cache.js'
import { copyOf } from './entry-file.js'

// A path takes about this much, without its key.
const PATH_BYTES = 600
const MAX_BYTES = 24 * 1024 * 1024

/** The path of a key's entry, and what was read there. */
export interface EntryPath extends CachedPath, Member {
  /** The key as it was given, and as it is stored. */
  readonly text: string
  readonly key: Buffer
  readonly name: string
  /** The last noted use in the file, as far as is known. */
  usedAt: number
}

/** The paths of keys. */
export class EntryPaths {
  readonly #folder: Folder
  readonly #byText = new Map<string, EntryPath>()
  readonly #clock: ClockCache<EntryPath>

  /** `forgotten` is called with each path that is no longer remembered. */
  constructor (folder: Folder, forgotten: (entryPath: EntryPath) => void) {
    this.#folder = folder
    this.#clock = new ClockCache(MAX_BYTES, (entryPath) => {
      this.#byText.delete(entryPath.text)
      forgotten(entryPath)
    })
  }

  /** The path of `key`. Remembers it. */
  of (key: string): EntryPath {
    const entryPath = this.#byText.get(key)
    if (entryPath === undefined) return this.#remember(this.#find(key))
    entryPath.wasUsed = true
    return entryPath
  }

  #remember (entryPath: EntryPath): EntryPath {
    if (this.#clock.add(entryPath, entryPath.text.length * 3 + PATH_BYTES)) this.#byText.set(entryPath.text, entryPath)
    return entryPath
  }

  #find (text: string): EntryPath {
    const key = copyOf(storedKey(text))
    const name = nameOf(key)
    return { text, key, name, path: this.#folder.pathOf(name), usedAt: -Infinity, held: undefined, bytes: 0, wasUsed: false, slot: 0 }
  }
}
