// Where the entries of keys lie: found out once for those asked lately, since hashing a key takes as long as opening its file.
import { nameOf, storedKey } from '../../registry/frame.js'
import type { Folder } from './folder.js'
import type { NearPlace } from './near.js'
import { copyOf } from './read.js'

// Some 600 bytes each beside the key, which has any length.
const PLACE_BYTES = 600
const MAX_BYTES = 24 * 1024 * 1024

// However many were asked for: which one is forgotten is found in these steps.
const LOOKS = 64

/** Where a key's entry lies, and what was read there. */
export interface Place extends NearPlace {
  readonly key: Buffer
  readonly name: string
  /** The last use that is known to be noted in the file. */
  usedAt: number
  /** Whether it was asked for again since it was found out, or since it was last spared. */
  wasAsked: boolean
}

/** The places of keys. Those that were found out first are forgotten first, but those asked for again are spared once: an order of uses would cost each use. */
export class Places {
  readonly #folder: Folder
  readonly #forgotten: (place: Place) => void
  readonly #places = new Map<string, Place>()
  #oldest: Iterator<string, undefined> | undefined
  #bytes = 0

  /** `forgotten` is told of each place that is not remembered any longer. */
  constructor (folder: Folder, forgotten: (place: Place) => void) {
    this.#folder = folder
    this.#forgotten = forgotten
  }

  /** The place of `key`, which is remembered. */
  of (key: string): Place {
    const place = this.#places.get(key)
    if (place === undefined) return this.#remember(key)
    place.wasAsked = true
    return place
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
    for (let looks = 1; ; looks++) {
      const text = this.#oldest.next().value as string
      const place = this.#places.get(text) as Place
      this.#places.delete(text)
      if (!place.wasAsked || looks === LOOKS) {
        this.#bytes -= bytesOf(text)
        this.#forgotten(place)
        return
      }
      place.wasAsked = false
      this.#places.set(text, place)
    }
  }

  #find (text: string): Place {
    const key = copyOf(storedKey(text))
    const name = nameOf(key)
    return { key, name, path: this.#folder.pathOf(name), usedAt: -Infinity, wasAsked: false, held: undefined, bytes: 0, wasUsed: false, slot: 0 }
  }
}

function bytesOf (text: string): number {
  return text.length * 3 + PLACE_BYTES
}
