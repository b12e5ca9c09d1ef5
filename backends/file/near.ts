// Entries that were read a moment ago: worth reading again only when another file lies in the place, which one look tells.
import { lstatSync, type Stats } from 'node:fs'
import type { StoredEntry } from '../../registry/backend.js'
import { Recent, type Holder } from '../../registry/recent.js'

// A file that was changed just now may be changed once more within what its file system takes for one instant: 10 ms
// where it is a tick of the kernel, 2 s on FAT.
const SETTLED_AFTER_MS = 2_000

/** An entry, and what its file was when it was read. */
class Held implements StoredEntry {
  readonly value: Uint8Array
  readonly expiresAt: number
  readonly #inode: number
  readonly #size: number
  readonly #mtimeMs: number
  readonly #ctimeMs: number

  constructor ({ value, expiresAt }: StoredEntry, { ino, size, mtimeMs, ctimeMs }: Stats) {
    this.value = value
    this.expiresAt = expiresAt
    this.#inode = ino
    this.#size = size
    this.#mtimeMs = mtimeMs
    this.#ctimeMs = ctimeMs
  }

  /** Whether the file is still that. */
  isOf ({ ino, size, mtimeMs, ctimeMs }: Stats): boolean {
    return this.#ctimeMs === ctimeMs && this.#inode === ino && this.#size === size && this.#mtimeMs === mtimeMs
  }
}

/** A path, and what was read there, for as long as it is held. */
export interface NearPlace extends Holder<Held> {
  readonly path: string
}

/** Entries as their files had them. */
export class Near {
  readonly #recent = new Recent<Held, NearPlace>()
  readonly #wallNow: () => number

  /** `wallNow` is the clock by which files change, in epoch milliseconds, whatever time it is for the cache. */
  constructor (wallNow = Date.now) {
    this.#wallNow = wallNow
  }

  /** The entry that was read at `place`, if the file is still the same. */
  get (place: NearPlace): StoredEntry | undefined {
    const { held } = place
    if (held === undefined) return undefined
    const stat = look(place.path)
    if (stat !== undefined && held.isOf(stat)) {
      place.wasUsed = true
      return held
    }
    this.#recent.drop(place)
    return undefined
  }

  /**
   * What `read` finds at `place`, which is held if there is room: then it must be in memory of its own. A file that comes in
   * its place meanwhile is not taken for it: the look was before.
   */
  read (place: NearPlace, read: (isHeld: boolean) => StoredEntry | undefined): StoredEntry | undefined {
    const stat = this.#recent.takes() ? look(place.path) : undefined
    if (stat === undefined || stat.ctimeMs > this.#wallNow() - SETTLED_AFTER_MS) return read(false)
    const entry = read(true)
    if (entry === undefined) return undefined
    this.#recent.hold(place, new Held(entry, stat))
    return entry
  }

  /** What lies at `place` is changed from here. */
  drop (place: NearPlace): void {
    this.#recent.drop(place)
  }
}

/** Whatever stands in the way of a look is for the read to find. */
function look (path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}
