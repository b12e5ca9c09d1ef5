// Where the entries of keys lie: found out once for those asked lately, since hashing a key takes as long as opening its file.
import { nameOf, storedKey } from '../../registry/frame.js'
import type { Folder } from './folder.js'
import { copyOf } from './read.js'

// Some 300 bytes each beside the key, which has any length.
const PLACE_BYTES = 300
const MAX_BYTES = 16 * 1024 * 1024

/** Where a key's entry lies. */
export interface Place {
  readonly key: Buffer
  readonly name: string
  readonly path: string
  /** The last use that is known to be noted in the file. */
  usedAt: number
}

/** The places of keys, in two halves: when the younger one is full, it takes the place of the older. A use in its order costs more than it is worth. */
export class Places {
  readonly #folder: Folder
  #young = new Map<string, Place>()
  #old = new Map<string, Place>()
  #youngBytes = 0

  constructor (folder: Folder) {
    this.#folder = folder
  }

  /** The place of `key`, which is remembered. */
  of (key: string): Place {
    return this.#young.get(key) ?? this.#remember(key, this.#old.get(key) ?? this.#find(key))
  }

  #remember (text: string, place: Place): Place {
    this.#youngBytes += text.length * 3 + PLACE_BYTES
    if (this.#youngBytes > MAX_BYTES / 2) {
      this.#old = this.#young
      this.#young = new Map()
      this.#youngBytes = 0
    }
    this.#young.set(text, place)
    return place
  }

  #find (text: string): Place {
    const key = copyOf(storedKey(text))
    const name = nameOf(key)
    return { key, name, path: this.#folder.pathOf(name), usedAt: -Infinity }
  }
}
