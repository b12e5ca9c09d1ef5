// Where the entries of keys lie: found out once for those asked lately, since hashing a key takes as long as opening its file.
import { nameOf, storedKey } from '../../registry/frame.js'
import type { Folder } from './folder.js'
import type { NearPlace } from './near.js'
import { copyOf } from './read.js'

// Some 300 bytes each beside the key, which has any length.
const PLACE_BYTES = 300
const MAX_BYTES = 16 * 1024 * 1024

/** Where a key's entry lies, and what was read there. */
export interface Place extends NearPlace {
  readonly key: Buffer
  readonly name: string
  /** The last use that is known to be noted in the file. */
  usedAt: number
}

/** The places of keys. Those that were found out first are forgotten first: an order of uses costs each use more than it is worth. */
export class Places {
  readonly #folder: Folder
  readonly #places = new Map<string, Place>()
  #oldest: Iterator<string, undefined> | undefined
  #bytes = 0

  constructor (folder: Folder) {
    this.#folder = folder
  }

  /** The place of `key`, which is remembered. */
  of (key: string): Place {
    return this.#places.get(key) ?? this.#remember(key)
  }

  #remember (text: string): Place {
    const place = this.#find(text)
    const bytes = bytesOf(text)
    if (bytes > MAX_BYTES / 2) return place
    this.#places.set(text, place)
    this.#bytes += bytes
    while (this.#bytes > MAX_BYTES) this.#forgetOldest()
    return place
  }

  /** One iterator for all of them: a new one would have to pass by all that were deleted. */
  #forgetOldest (): void {
    this.#oldest ??= this.#places.keys()
    const text = this.#oldest.next().value as string
    this.#places.delete(text)
    this.#bytes -= bytesOf(text)
  }

  #find (text: string): Place {
    const key = copyOf(storedKey(text))
    const name = nameOf(key)
    return { key, name, path: this.#folder.pathOf(name), usedAt: -Infinity, keyBytes: key.length, held: undefined, wasUsed: false, slot: 0 }
  }
}

function bytesOf (text: string): number {
  return text.length * 3 + PLACE_BYTES
}
