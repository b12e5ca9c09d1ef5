// Entries that were read a moment ago: worth reading again only when another file lies in the place, which one look tells.
import { lstatSync, type Stats } from 'node:fs'
import type { StoredEntry } from '../../registry/backend.js'
import { Recent } from '../../registry/recent.js'

// A file that was changed just now may be changed once more within what its file system takes for one instant: 10 ms
// where it is a tick of the kernel, 2 s on FAT.
const SETTLED_AFTER_MS = 2_000

/** An entry, and what its file was when it was read. */
interface Held extends StoredEntry {
  readonly inode: number
  readonly size: number
  readonly mtimeMs: number
  readonly ctimeMs: number
}

/** Entries as their files had them. */
export class Near {
  readonly #entries = new Recent<Held>()
  readonly #wallNow: () => number

  /** `wallNow` is the clock by which files change, in epoch milliseconds, whatever time it is for the cache. */
  constructor (wallNow = Date.now) {
    this.#wallNow = wallNow
  }

  /** The entry that was read at `path`, if the file is still the same. */
  get (path: string): StoredEntry | undefined {
    const held = this.#entries.get(path)
    if (held === undefined) return undefined
    const stat = look(path)
    if (stat !== undefined && held.ctimeMs === stat.ctimeMs && held.inode === stat.ino && held.size === stat.size && held.mtimeMs === stat.mtimeMs) return held
    this.#entries.drop(path)
    return undefined
  }

  /**
   * What `read` finds at `path`, which is held if there is room: then it must be in memory of its own. A file that comes in
   * its place meanwhile is not taken for it: the look was before.
   */
  read (path: string, read: (isHeld: boolean) => StoredEntry | undefined): StoredEntry | undefined {
    const stat = this.#entries.takes() ? look(path) : undefined
    if (stat === undefined || stat.ctimeMs > this.#wallNow() - SETTLED_AFTER_MS) return read(false)
    const entry = read(true)
    if (entry === undefined) return undefined
    const { ino: inode, size, mtimeMs, ctimeMs } = stat
    this.#entries.hold(path, { ...entry, inode, size, mtimeMs, ctimeMs })
    return entry
  }

  /** What lies at `path` is changed from here. */
  drop (path: string): void {
    this.#entries.drop(path)
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
