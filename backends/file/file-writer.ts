// Writes and removes the files of entries. A file is written under a temporary name and renamed when it is complete.
import { constants, fchmodSync, futimesSync, lstatSync, promises, rmSync, unlinkSync, writeSync, type Stats } from 'node:fs'
import { codeOf, type Folder } from './folder.js'
import { timesOf } from './entry-file.js'

const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0)
const OWNER_ONLY = 0o600

// Files up to this size are written synchronously: writing them to the page cache is faster than waiting for a thread.
const AT_ONCE_BYTES = 64 * 1024

// The most attempts to write a file. Each attempt creates the folder again if somebody has removed it.
const ATTEMPTS = 3

/** The contents and times of a file that is to be written. */
export interface Contents {
  readonly head: Buffer
  readonly value: Uint8Array
  readonly usedAt: number
  readonly expiresAt: number
}

/** Writes and removes files of one folder. */
export class FileWriter {
  readonly #folder: Folder
  readonly #fsync: boolean

  constructor (folder: Folder, fsync: boolean) {
    this.#folder = folder
    this.#fsync = fsync
  }

  /** Replaces whatever is at the entry's path. Returns by how many bytes the folder grew. On an error, the old file is kept or removed. */
  async put (name: string, contents: Contents): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      try {
        this.#folder.ensureShard(name)
        return await this.#replace(name, contents)
      } catch (error) {
        if (!['ENOENT', 'ENOTDIR'].includes(codeOf(error)) || attempt === ATTEMPTS) throw error
        this.#folder.forgetShards()
      }
    }
  }

  /** Removes whatever is at the entry's path, if anything. Returns the number of bytes freed. */
  async remove (name: string): Promise<number> {
    const bytes = await removeAny(this.#folder.pathOf(name))
    if (this.#fsync) await this.#syncShard(name)
    return bytes
  }

  async #replace (name: string, contents: Contents): Promise<number> {
    const path = this.#folder.pathOf(name)
    const aside = this.#folder.pathAside(name)
    const file = await promises.open(aside, FLAGS, OWNER_ONLY)
    try {
      await this.#fill(file, contents)
      // If a rename replaces an existing file, ext4 writes the new one to the disk at once, which is slow, so the old one is removed
      // first. Between these two steps, and after a crash between them, a read finds nothing.
      const replaced = await removeAny(path)
      await promises.rename(aside, path)
      if (this.#fsync) await this.#syncShard(name).catch((error: unknown) => discardAndRethrow(path, error))
      return contents.head.length + contents.value.byteLength - replaced
    } catch (error) {
      await promises.unlink(aside).catch(() => {})
      throw error
    }
  }

  async #fill (file: promises.FileHandle, { head, value, usedAt, expiresAt }: Contents): Promise<void> {
    try {
      // This sets the mode again, because the umask may have taken away rights of the owner too.
      fchmodSync(file.fd, OWNER_ONLY)
      if (head.length + value.byteLength <= AT_ONCE_BYTES) writeAll(file.fd, Buffer.concat([head, value]))
      else for (const bytes of [head, value]) await file.writeFile(bytes)
      futimesSync(file.fd, ...timesOf(usedAt, expiresAt))
      if (this.#fsync) await file.sync()
    } finally {
      await file.close()
    }
  }

  /** Makes a rename or a removal durable, by syncing the folder (the shard) in which it happened. */
  async #syncShard (name: string): Promise<void> {
    const shard = await openIfThere(this.#folder.shardOf(name))
    try {
      await shard?.sync()
    } finally {
      await shard?.close()
    }
  }
}

/** Removes a new file whose rename could not be made durable, and rethrows the error. */
async function discardAndRethrow (path: string, error: unknown): Promise<never> {
  await promises.unlink(path).catch(() => {})
  throw error
}

function writeAll (descriptor: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length;) written += writeSync(descriptor, bytes, written)
}

async function openIfThere (path: string): Promise<promises.FileHandle | undefined> {
  try {
    return await promises.open(path, 'r')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Removes whatever is at `path`, even a folder with its contents. Returns the size of what was removed, which is 0 for a folder. */
async function removeAny (path: string): Promise<number> {
  const stat = statIfThere(path)
  if (stat === undefined) return 0
  if (stat.isDirectory()) {
    await promises.rm(path, { recursive: true, force: true })
    return 0
  }
  try {
    await promises.unlink(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
  return stat.size
}

/** Removes whatever is at `path`, if anything, synchronously. */
export function removeNow (path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    // If it is a folder, this removes the folder with its contents, but not the targets of links in it.
    if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) throw error
    rmSync(path, { recursive: true, force: true })
  }
}

/** Returns the `lstat` of `path`, or undefined if nothing is there. */
export function statIfThere (path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    if (codeOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}
