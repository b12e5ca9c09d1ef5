// Walks over the files of all entries, for `clear`, `keys` and `size`.
import { closeSync } from 'node:fs'
import type { ClearOptions } from '../../registry/backend.js'
import { matchesGlob } from '../../registry/glob.js'
import type { Folder } from './folder.js'
import { keyOf, nameOf } from '../../registry/codec.js'
import { headOf, isTrusted, openEntry } from './entry-file.js'
import { walk, type FoundFile } from './walk.js'
import { removeNow } from './file-writer.js'
import type { FileWriteQueue } from './write-queue.js'

/** Options and dependencies of a file scan. */
export interface FileScanOptions {
  readonly folder: Folder
  readonly writes: FileWriteQueue
  readonly now: () => number
  /** Throws once the backend is closing. */
  readonly goOn: () => void
}

/** Walks over all entries of one backend. */
export class FileScan {
  readonly #options: FileScanOptions

  constructor (options: FileScanOptions) {
    this.#options = options
  }

  /** Removes the entries of keys that begin with `prefix`, except those that are set after this call. */
  async clear (prefix: string, { onProgress }: ClearOptions): Promise<void> {
    const { folder, writes, goOn } = this.#options
    const deleted = writes.keys().map((name) => writes.find(name)!)
      .filter(({ stored, entry }) => entry !== undefined && keyOf(stored).startsWith(prefix))
      .map((write) => writes.put({ ...write, entry: undefined }))
    const later = new Set<string>()
    let removed = 0
    const betweenSteps = (): void => {
      goOn()
      onProgress?.(removed)
      removed = 0
    }
    const unlisten = writes.onPut((name) => later.add(name))
    try {
      await walk(folder, (found) => {
        if (!found.isEntry || later.has(found.name)) return
        if (prefix !== '' && keyIn(found)?.key.startsWith(prefix) !== true) return
        removeNow(found.path)
        removed++
      }, { goOn: betweenSteps })
      await Promise.all(deleted)
    } finally {
      unlisten()
    }
  }

  /** Returns the keys that match `pattern`, without those of expired entries. */
  async keys (pattern: string): Promise<string[]> {
    const { folder, writes, now } = this.#options
    await writes.flush()
    const found = new Set<string>()
    await walk(folder, (file) => {
      const { key, expiresAt } = keyIn(file) ?? { key: '', expiresAt: 0 }
      if (expiresAt > now() && matchesGlob(pattern, key)) found.add(key)
    }, this.#options)
    return [...found]
  }

  /** Returns the number of entries, including expired ones. */
  async size (): Promise<number> {
    const { folder, writes } = this.#options
    await writes.flush()
    let entries = 0
    await walk(folder, ({ isEntry, isFile }) => { if (isEntry && isFile) entries++ }, this.#options)
    return entries
  }
}

/** Reads the key and the expiry time from a file. Returns undefined if the file is not ours or is damaged. */
function keyIn ({ name, path, isEntry }: FoundFile): { key: string, expiresAt: number } | undefined {
  const file = isEntry ? openEntry(path) : undefined
  if (file === undefined) return undefined
  try {
    const head = isTrusted(file) ? headOf(file) : undefined
    if (head === undefined || nameOf(head.key) !== name) return undefined
    return { key: keyOf(head.key), expiresAt: Math.min(head.expiresAt, file.expiresAt) }
  } finally {
    closeSync(file.descriptor)
  }
}
