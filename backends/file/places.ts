// Where the entries of keys lie: found out once for those asked lately, since hashing a key takes as long as opening its file.
import { nameOf, storedKey } from '../../registry/record.js'
import { ClockCache, type Member } from '../../registry/clock-cache.js'
import type { Folder } from './folder.js'
import type { NearPlace } from './near.js'
import { copyOf } from './read.js'

// Some 600 bytes each beside the key, which has any length.
const PLACE_BYTES = 600
const MAX_BYTES = 24 * 1024 * 1024

/** Where a key's entry lies, and what was read there. */
export interface Place extends NearPlace, Member {
  /** The key as it came, and as it is stored. */
  readonly text: string
  readonly key: Buffer
  readonly name: string
  /** The last use that is known to be noted in the file. */
  usedAt: number
}

/** The places of keys. */
export class Places {
  readonly #folder: Folder
  readonly #places = new Map<string, Place>()
  readonly #recent: ClockCache<Place>

  /** `forgotten` is told of each place that is not remembered any longer. */
  constructor (folder: Folder, forgotten: (place: Place) => void) {
    this.#folder = folder
    this.#recent = new ClockCache(MAX_BYTES, (place) => {
      this.#places.delete(place.text)
      forgotten(place)
    })
  }

  /** The place of `key`, which is remembered. */
  of (key: string): Place {
    const place = this.#places.get(key)
    if (place === undefined) return this.#remember(this.#find(key))
    place.wasUsed = true
    return place
  }

  #remember (place: Place): Place {
    if (this.#recent.add(place, place.text.length * 3 + PLACE_BYTES)) this.#places.set(place.text, place)
    return place
  }

  #find (text: string): Place {
    const key = copyOf(storedKey(text))
    const name = nameOf(key)
    return { text, key, name, path: this.#folder.pathOf(name), usedAt: -Infinity, held: undefined, bytes: 0, wasUsed: false, slot: 0 }
  }
}
