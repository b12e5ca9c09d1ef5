// Where the entries of keys lie: found out once for those asked lately, since hashing a key takes as long as opening its file.
import { LRUCache } from 'lru-cache'
import { nameOf, storedKey } from '../../registry/frame.js'
import type { Folder } from './folder.js'
import { copyOf } from './read.js'

// Some 300 bytes each beside the key, which has any length.
const PLACE_BYTES = 300
const MAX_PLACES_BYTES = 16 * 1024 * 1024

/** Where a key's entry lies. */
export interface Place {
  readonly key: Buffer
  readonly name: string
  readonly path: string
  /** The last use that is known to be noted in the file. */
  usedAt: number
}

/** The places of keys. */
export class Places {
  readonly #folder: Folder
  readonly #places = new LRUCache<string, Place>({ maxSize: MAX_PLACES_BYTES, sizeCalculation: (_place, text) => text.length * 3 + PLACE_BYTES })

  constructor (folder: Folder) {
    this.#folder = folder
  }

  /** The place of `key`, which is remembered. */
  of (key: string): Place {
    return this.#places.get(key) ?? this.#found(key)
  }

  #found (text: string): Place {
    const key = copyOf(storedKey(text))
    const name = nameOf(key)
    const place = { key, name, path: this.#folder.pathOf(name), usedAt: -Infinity }
    this.#places.set(text, place)
    return place
  }
}
