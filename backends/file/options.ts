// The options of the backend `file`: their types, their defaults and their checks.
import { resolve } from 'node:path'
import { boolean, checkOptions, duration, positiveInteger, text, type Duration } from '../../registry/check.js'

/** Options of the backend `file`. */
export interface FileOptions {
  /** The cache's own folder, created if missing. Processes with the same folder share entries. @default '.cache/fastify-response-cache' */
  dir?: string
  /** The most bytes that all files may take. Expired entries are removed first, then the least recently used. @default 268435456 */
  maxBytes?: number
  /** How often the backend removes expired entries, and files that killed processes left behind. @default '5m' */
  cleanupInterval?: Duration
  /** Whether each change is forced to the disk before its promise settles, so that a power failure can't undo it. @default false */
  fsync?: boolean
}

/** The default value of the option `dir`. */
export const FILE_DIR = '.cache/fastify-response-cache'

/** The default value of the option `maxBytes`: 256 MiB. */
export const FILE_MAX_BYTES = 256 * 1024 * 1024

/** The default value of the option `cleanupInterval`: five minutes, in milliseconds. */
export const FILE_CLEANUP_INTERVAL_MS = 5 * 60_000

/** The default value of the option `fsync`. */
export const FILE_FSYNC = false

/** The options after validation, with defaults filled in and durations in milliseconds. */
export interface Settings {
  /** An absolute path, because the working directory may change. */
  readonly dir: string
  readonly maxBytes: number
  readonly cleanupIntervalMs: number
  readonly fsync: boolean
}

/** Returns the settings for `options`. Throws CACHE_ERR_OPTION if an option is wrong. */
export function readOptions (options: FileOptions): Settings {
  const given = checkOptions<FileOptions>('file', options, {
    dir: text, maxBytes: positiveInteger, cleanupInterval: duration(), fsync: boolean
  })
  return {
    dir: resolve(given.dir ?? FILE_DIR),
    maxBytes: given.maxBytes ?? FILE_MAX_BYTES,
    // The check has already converted the duration to milliseconds.
    cleanupIntervalMs: given.cleanupInterval as number | undefined ?? FILE_CLEANUP_INTERVAL_MS,
    fsync: given.fsync ?? FILE_FSYNC
  }
}
