// The cache's own private folder. It contains one folder for the format, which contains 256 folders with entries, called shards.
import { randomBytes } from 'node:crypto'
import { accessSync, chmodSync, closeSync, constants, lstatSync, mkdirSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { show } from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import { FOLDER_OWNER_ONLY, MODES_ARE_FIXED, whyNotPrivate } from '../../registry/own-file.js'

// Whenever the format of records or file names changes, this changes too, so no version of this package reads files in another format.
const FORMAT = 'v1'

const SHARD_DIGITS = 2

// Backup programs skip a folder that contains this file: https://bford.info/cachedir/.
const TAG = 'CACHEDIR.TAG'
const TAG_TEXT = `Signature: 8a477f597d28d172789f06886806bc55
# This folder holds the cache of fastify-response-cache. It may be removed at any time.
`

// Errors that may be temporary. After one of them, the next write tries to prepare the folder again.
const PASSING = ['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'ENOMEM']

const EXPECTED =
  'a folder of this user\'s own that can be made private, or a path at which one can be made; change its owner or its rights, or choose another path'

const ASIDE = /^\.([0-9a-z]{1,11})-[0-9a-f]{16}$/

/** Returns the code of an error of the file system. */
export function codeOf (error: unknown): string {
  return (error as { code?: string } | undefined)?.code ?? ''
}

/** Returns when the writing of a temporary file began, which is part of the file's name. Returns undefined for other names. */
export function begunAt (name: string): number | undefined {
  const begun = ASIDE.exec(name)?.[1]
  return begun === undefined ? undefined : parseInt(begun, 36)
}

/** Prepares the cache's folder, and returns the paths in it. */
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

  /** Creates the folder if missing. Throws CACHE_ERR_OPTION if it can't be used, or the file system's error if that may be temporary. */
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

  /** Does the same as `prepare`, but ignores errors that may be temporary. */
  open (): void {
    try {
      this.prepare()
    } catch (error) {
      if (error instanceof CACHE_ERR_OPTION) throw error
    }
  }

  /** Returns the path of the shard for a file with this name. */
  shardOf (name: string): string {
    return this.shardsDir + '/' + name.slice(0, SHARD_DIGITS)
  }

  pathOf (name: string): string {
    return this.shardOf(name) + '/' + name
  }

  /** Returns a new path for a temporary file in the entry's shard. */
  pathAside (name: string): string {
    return `${this.shardOf(name)}/.${Math.max(0, Math.floor(this.#now())).toString(36)}-${randomBytes(8).toString('hex')}`
  }

  /** Creates the shard for a file with this name, unless this was done before. Throws the errors of the file system. */
  ensureShard (name: string): void {
    const shard = this.shardOf(name)
    if (this.#known.has(shard)) return
    this.prepare()
    // Anything but a folder, such as a link to a folder, is not ours, so it is removed.
    if (lstatSync(shard, { throwIfNoEntry: false })?.isDirectory() === false) unlinkSync(shard)
    makePrivate(shard)
    this.#known.add(shard)
  }

  /** Called when somebody has removed the folder or a part of it, so that shards are created again. */
  forgetShards (): void {
    this.#known.clear()
  }
}

function refuse (path: string, why: string): never {
  throw new CACHE_ERR_OPTION('file.dir', EXPECTED, `${show(path)} (${why})`)
}

/** Creates a folder that only its owner may enter, whatever the umask is. Makes an existing one private, or refuses it. */
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

/** Writes the file CACHEDIR.TAG if it is missing. Ignores errors, because the folder can be used without this file. */
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
