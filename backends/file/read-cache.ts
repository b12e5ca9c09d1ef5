// Keeps recently read entries in memory. Before an entry is used, one `lstat` checks that its file is still the same.
import { lstatSync, type Stats } from 'node:fs'
import type { StoredEntry } from '../../registry/backend.js'
import { READ_CACHE_BYTES, ClockCache, type Member } from '../../registry/clock-cache.js'

// A file that changed more recently than this is not cached, because it may change again without getting a new timestamp. The clock of a
// file system advances in steps: of 10 ms if it follows the kernel's ticks, and of 2 s on FAT.
const SETTLED_AFTER_MS = 2_000

// An entry takes about this much memory in addition to its value.
const OVERHEAD_BYTES = 400

/** An entry, and the `lstat` of its file when it was read. */
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

  /** Returns whether the file is still the one that was read. The argument is its `lstat` now. */
  matches ({ ino, size, mtimeMs, ctimeMs }: Stats): boolean {
    return this.#ctimeMs === ctimeMs && this.#inode === ino && this.#size === size && this.#mtimeMs === mtimeMs
  }
}

/** A path, and the cached entry that was read there. */
export interface CachedPath {
  readonly path: string
  held: CachedEntry | undefined
}

/** A cache of entries that were read from files. */
export class FileReadCache {
  readonly #clock = new ClockCache<CachedEntry>(READ_CACHE_BYTES, ({ entryPath }) => { entryPath.held = undefined })
  readonly #wallNow: () => number

  /** `wallNow` returns the time of the file system's clock, in epoch milliseconds. The cache's own clock may show another time. */
  constructor (wallNow = Date.now) {
    this.#wallNow = wallNow
  }

  /** Returns the cached entry of `entryPath`, if its file is still the one that was read. */
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
   * Returns the entry that `read` finds at `entryPath`, and caches it if there is room. If `mayBeHeld` is true, `read` must return a value
   * in its own memory. `lstat` is called first, so if the file is replaced before `read`, the cached entry won't match at the next `get`.
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

  /** Drops the cached entry of `entryPath`. Called when its file has changed or is about to change. */
  drop (entryPath: CachedPath): void {
    if (entryPath.held === undefined) return
    this.#clock.remove(entryPath.held)
    entryPath.held = undefined
  }
}

/** Returns the `lstat` of `path`. Returns undefined if nothing is there, or on an error, which the read that follows will report. */
function look (path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}
