// Finds the path of a key's file. Recently used paths are remembered, because hashing a key takes as long as opening its file.
import { nameOf, storedKey } from '../../registry/codec.js'
import { ClockCache, type Member } from '../../registry/clock-cache.js'
import type { Folder } from './folder.js'
import type { CachedPath } from './read-cache.js'
import { copyOf } from './entry-file.js'

// A remembered path takes about this much memory, without its key.
const PATH_BYTES = 600
const MAX_BYTES = 24 * 1024 * 1024

/** The path of a key's file, and the cached entry that was read there, if any. */
export interface EntryPath extends CachedPath, Member {
  /** The key as the caller gave it. */
  readonly text: string
  /** The key in the encoding in which it is stored. */
  readonly key: Buffer
  /** The file's name. */
  readonly name: string
  /** The time of the last use that is known to be recorded in the file, or -Infinity if none is. */
  usedAt: number
}

/** Finds the paths of keys, and remembers the recently used ones. */
export class EntryPaths {
  readonly #folder: Folder
  readonly #byText = new Map<string, EntryPath>()
  readonly #clock: ClockCache<EntryPath>

  /** `removed` is called with each path that is no longer remembered. */
  constructor (folder: Folder, removed: (entryPath: EntryPath) => void) {
    this.#folder = folder
    this.#clock = new ClockCache(MAX_BYTES, (entryPath) => {
      this.#byText.delete(entryPath.text)
      removed(entryPath)
    })
  }

  /** Returns the path of `key`, and remembers it. */
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
