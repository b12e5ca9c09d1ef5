// The cache's own private folder. It contains one folder for the format, and that contains 256 folders with entries, the shards.
import { randomBytes } from 'node:crypto'
import { accessSync, chmodSync, closeSync, constants, lstatSync, mkdirSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { show } from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import { FOLDER_OWNER_ONLY, MODES_ARE_FIXED, whyNotPrivate } from '../../registry/own-file.js'

// Changes with every change of the format of records or file names, so that no version of this package reads files in another format.
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

/** The code of an error of the file system. */
export function codeOf (error: unknown): string {
  return (error as { code?: string } | undefined)?.code ?? ''
}

/** When the writing of a temporary file began, which its name tells; undefined for other names. */
export function begunAt (name: string): number | undefined {
  const begun = ASIDE.exec(name)?.[1]
  return begun === undefined ? undefined : parseInt(begun, 36)
}

/** The cache's folder, and the paths in it. */
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

  /** Creates the folder if it is missing. Throws CACHE_ERR_OPTION if it can't be used, or an error that may be temporary. */
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

  /** The path of the shard for a file with this name. */
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

  /** Creates the shard for a file with this name, unless that was already done. Throws what the file system throws. */
  ensureShard (name: string): void {
    const shard = this.shardOf(name)
    if (this.#known.has(shard)) return
    this.prepare()
    // Removes anything but a folder, such as a link to one: it is not ours.
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

/** Writes the tag if it is missing. Errors are ignored, because the folder can be used without a tag. */
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
