// Writes and removes one entry's file: written aside, and renamed when it is whole.
import { constants, fchmodSync, futimesSync, lstatSync, promises, rmSync, unlinkSync, writeSync, type Stats } from 'node:fs'
import { codeOf, type Folder } from './folder.js'
import { timesOf } from './entry-file.js'

const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0)
const OWNER_ONLY = 0o600

// Writing this much into the page cache takes less than waiting for a thread to do it.
const AT_ONCE_BYTES = 64 * 1024

// Somebody removes the folder while we write: it is made again, but not for ever.
const ATTEMPTS = 3

/** A file as it is to be. */
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

  /**
   * Puts a file in the place of whatever is there. Returns by how many bytes that made the folder larger. Throws what the file
   * system throws; after an error the old file is there, or none.
   */
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

  /** Removes the file, or whatever is in its place. Returns how many bytes that gave back; no error when nothing is there. */
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
      // A rename onto a file makes ext4 write the new one to the disk at once. Where the old one is removed before, it
      // does not. Who reads in between finds nothing, and so does who reads after a crash in between.
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
      // The umask may have taken the owner's rights too.
      fchmodSync(file.fd, OWNER_ONLY)
      if (head.length + value.byteLength <= AT_ONCE_BYTES) writeAll(file.fd, Buffer.concat([head, value]))
      else for (const bytes of [head, value]) await file.writeFile(bytes)
      futimesSync(file.fd, ...timesOf(usedAt, expiresAt))
      if (this.#fsync) await file.sync()
    } finally {
      await file.close()
    }
  }

  /** A rename or a removal is durable once its folder is synced. */
  async #syncShard (name: string): Promise<void> {
    const shard = await openIfThere(this.#folder.shardOf(name))
    try {
      await shard?.sync()
    } finally {
      await shard?.close()
    }
  }
}

/** Removes the new file, which could not be synced, and rethrows the error that said so. */
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

/** Removes whatever is at `path`, a folder with all that is in it. Returns the bytes of a file. */
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

/** Removes whatever is at `path`, at once; no error when nothing is. */
export function removeNow (path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    // A folder: what a link in it leads to is left alone.
    if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) throw error
    rmSync(path, { recursive: true, force: true })
  }
}

/** What is at `path`, a link not followed; undefined when nothing is. */
export function statIfThere (path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    if (codeOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}
