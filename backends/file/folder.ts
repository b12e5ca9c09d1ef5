// The cache's own private folder. It holds a folder for the format, which holds 256 shards with the entries.
import { randomBytes } from 'node:crypto'
import { accessSync, chmodSync, closeSync, constants, lstatSync, mkdirSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { show } from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import { FOLDER_OWNER_ONLY, MODES_ARE_FIXED, whyNotPrivate } from '../../registry/own-file.js'

// Changes with the format of records or names, so that no version reads another's files.
const FORMAT = 'v1'

const SHARD_DIGITS = 2

// https://bford.info/cachedir/: backups skip such a folder.
const TAG = 'CACHEDIR.TAG'
const TAG_TEXT = `Signature: 8a477f597d28d172789f06886806bc55
# This folder holds the cache of fastify-response-cache. It may be removed at any time.
`

// Errors that may be temporary: the folder is tried again with the next write.
const PASSING = ['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'ENOMEM']

const EXPECTED =
  'a folder of this user\'s own that can be made private, or a path at which one can be made; change its owner or its rights, or choose another path'

const ASIDE = /^\.([0-9a-z]{1,11})-[0-9a-f]{16}$/

/** The code of an error of the file system. */
export function codeOf (error: unknown): string {
  return (error as { code?: string } | undefined)?.code ?? ''
}

/** When the write of a temporary file began, by its name; undefined for other names. */
export function begunAt (name: string): number | undefined {
  const begun = ASIDE.exec(name)?.[1]
  return begun === undefined ? undefined : parseInt(begun, 36)
}

/** Where the files are. */
export class Folder {
  readonly #dir: string
  readonly #now: () => number
  readonly #known = new Set<string>()
  /** The folder that holds the shards. */
  readonly shardsDir: string

  constructor (dir: string, now: () => number) {
    this.#dir = dir
    this.#now = now
    this.shardsDir = join(dir, FORMAT)
  }

  /** Makes the folder if it is missing. Throws CACHE_ERR_OPTION if it can't be used, or an error that may be temporary. */
  prepare (): void {
    try {
      mkdirSync(dirname(this.#dir), { recursive: true })
      makePrivate(this.#dir)
      writeTag(join(this.#dir, TAG))
      makePrivate(this.shardsDir)
      accessSync(this.shardsDir, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (error) {
      if (error instanceof CACHE_ERR_OPTION || PASSING.includes(codeOf(error))) throw error
      refuse(this.#dir, codeOf(error))
    }
  }

  /** The same as `prepare`, but ignores errors that may be temporary. */
  open (): void {
    try {
      this.prepare()
    } catch (error) {
      if (error instanceof CACHE_ERR_OPTION) throw error
    }
  }

  /** The shard of a file of this name. */
  shardOf (name: string): string {
    return this.shardsDir + '/' + name.slice(0, SHARD_DIGITS)
  }

  pathOf (name: string): string {
    return this.shardOf(name) + '/' + name
  }

  /** A new path for a temporary file in the entry's shard. */
  pathAside (name: string): string {
    return `${this.shardOf(name)}/.${Math.max(0, Math.floor(this.#now())).toString(36)}-${randomBytes(8).toString('hex')}`
  }

  /** Makes the shard of this name if that was not done yet. Throws what the file system throws. */
  ensureShard (name: string): void {
    const shard = this.shardOf(name)
    if (this.#known.has(shard)) return
    this.prepare()
    // Anything but a folder, such as a link to one, is not ours.
    if (lstatSync(shard, { throwIfNoEntry: false })?.isDirectory() === false) unlinkSync(shard)
    makePrivate(shard)
    this.#known.add(shard)
  }

  /** Called when somebody removed the folder or a part of it. */
  forgetShards (): void {
    this.#known.clear()
  }
}

function refuse (path: string, why: string): never {
  throw new CACHE_ERR_OPTION('file.dir', EXPECTED, `${show(path)} (${why})`)
}

/** Makes a folder that only its owner may enter, whatever the umask, or checks the existing one. */
function makePrivate (path: string): void {
  try {
    mkdirSync(path, FOLDER_OWNER_ONLY)
    undoUmask(path)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
  const why = whyNotPrivate(path)
  if (why !== undefined) refuse(path, why)
}

function undoUmask (path: string): void {
  if (process.geteuid === undefined || (lstatSync(path).mode & 0o777) === FOLDER_OWNER_ONLY) return
  try {
    chmodSync(path, FOLDER_OWNER_ONLY)
  } catch (error) {
    if (codeOf(error) === 'EPERM') refuse(path, MODES_ARE_FIXED)
    throw error
  }
}

/** Written once. A folder without a tag is used too. */
function writeTag (path: string): void {
  try {
    const file = openSync(path, 'wx', 0o600)
    try {
      writeSync(file, TAG_TEXT)
    } finally {
      closeSync(file)
    }
  } catch {}
}
