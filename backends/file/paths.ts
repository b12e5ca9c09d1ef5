// Where the entries of keys lie: found out once for those asked lately, since hashing a key takes as long as opening its file.
import { nameOf, storedKey } from '../../registry/codec.js'
import { ClockCache, type Member } from '../../registry/clock-cache.js'
import type { Folder } from './folder.js'
import type { CachedPath } from './read-cache.js'
import { copyOf } from './entry-file.js'

// Some 600 bytes each beside the key, which has any length.
const PATH_BYTES = 600
const MAX_BYTES = 24 * 1024 * 1024

/** Where a key's entry lies, and what was read there. */
export interface EntryPath extends CachedPath, Member {
  /** The key as it came, and as it is stored. */
  readonly text: string
  readonly key: Buffer
  readonly name: string
  /** The last use that is known to be noted in the file. */
  usedAt: number
}

/** The paths of keys. */
export class EntryPaths {
  readonly #folder: Folder
  readonly #byText = new Map<string, EntryPath>()
  readonly #clock: ClockCache<EntryPath>

  /** `forgotten` is told of each path that is not remembered any longer. */
  constructor (folder: Folder, forgotten: (entryPath: EntryPath) => void) {
    this.#folder = folder
    this.#clock = new ClockCache(MAX_BYTES, (entryPath) => {
      this.#byText.delete(entryPath.text)
      forgotten(entryPath)
    })
  }

  /** The path of `key`, which is remembered. */
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
