// Entries that were read a moment ago, in memory. One `lstat` tells whether another file lies in the place by now, which has to be read.
import { lstatSync, type Stats } from 'node:fs'
import type { StoredEntry } from '../../registry/backend.js'
import { READ_CACHE_BYTES, ClockCache, type Member } from '../../registry/clock-cache.js'

// A file that was changed just now may be changed once more within what its file system takes for one instant: 10 ms
// where it is a tick of the kernel, 2 s on FAT.
const SETTLED_AFTER_MS = 2_000

// The objects around a value.
const OVERHEAD_BYTES = 400

/** An entry, and what its file was when it was read. */
class CachedEntry implements StoredEntry, Member {
  readonly entryPath: CachedPath
  readonly value: Uint8Array
  readonly expiresAt: number
  bytes = 0
  wasUsed = false
  slot = 0
  readonly #inode: number
  readonly #size: number
  readonly #mtimeMs: number
  readonly #ctimeMs: number

  constructor (entryPath: CachedPath, { value, expiresAt }: StoredEntry, { ino, size, mtimeMs, ctimeMs }: Stats) {
    this.entryPath = entryPath
    this.value = value
    this.expiresAt = expiresAt
    this.#inode = ino
    this.#size = size
    this.#mtimeMs = mtimeMs
    this.#ctimeMs = ctimeMs
  }

  /** Whether the file is still that. */
  matches ({ ino, size, mtimeMs, ctimeMs }: Stats): boolean {
    return this.#ctimeMs === ctimeMs && this.#inode === ino && this.#size === size && this.#mtimeMs === mtimeMs
  }
}

/** A path, and what was read there, for as long as it is held. */
export interface CachedPath {
  readonly path: string
  held: CachedEntry | undefined
}

/** Entries as their files had them. */
export class FileReadCache {
  readonly #clock = new ClockCache<CachedEntry>(READ_CACHE_BYTES, ({ entryPath }) => { entryPath.held = undefined })
  readonly #wallNow: () => number

  /** `wallNow` is the clock by which files change, in epoch milliseconds, whatever time it is for the cache. */
  constructor (wallNow = Date.now) {
    this.#wallNow = wallNow
  }

  /** The entry that was read at `entryPath`, if the file is still the same. */
  get (entryPath: CachedPath): StoredEntry | undefined {
    const { held } = entryPath
    if (held === undefined) return undefined
    const stat = look(entryPath.path)
    if (stat !== undefined && held.matches(stat)) {
      held.wasUsed = true
      return held
    }
    this.drop(entryPath)
    return undefined
  }

  /**
   * Returns the entry that `read` finds at `entryPath`, and holds it if there is room; `mayBeHeld` asks for bytes in a buffer of their own.
   * The file is looked at before it is read: one that is put in its place meanwhile fails the next comparison.
   */
  read (entryPath: CachedPath, read: (mayBeHeld: boolean) => StoredEntry | undefined): StoredEntry | undefined {
    const stat = this.#clock.takes() ? look(entryPath.path) : undefined
    if (stat === undefined || stat.ctimeMs > this.#wallNow() - SETTLED_AFTER_MS) return read(false)
    const entry = read(true)
    if (entry === undefined) return undefined
    this.drop(entryPath)
    const held = new CachedEntry(entryPath, entry, stat)
    if (this.#clock.add(held, entry.value.byteLength + OVERHEAD_BYTES)) entryPath.held = held
    return entry
  }

  /** Forgets what is held of `entryPath`: the file there is about to be changed. */
  drop (entryPath: CachedPath): void {
    if (entryPath.held === undefined) return
    this.#clock.remove(entryPath.held)
    entryPath.held = undefined
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
