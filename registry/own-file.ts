// Whose a file is that was found, and who else could read or change it: one rule for every backend that keeps files.
import type { Stats } from 'node:fs'
import type { CacheLog } from './registry.js'

/** The mode of a file that its owner alone may read and write. */
export const OWNER_ONLY = 0o600

const OTHERS = 0o077
const EVERYBODY_WRITES = 0o002

/**
 * What becomes of a file that was found. `private`: it is used. `opened`: it is ours, a group or others could read it or a group
 * write it; it is made private and used. `spoilt`: it is ours, and everybody could write it, so whose words it holds is unknown; it
 * is deleted. `foreign`: another user's, a link, or no file; it is not used.
 */
export type Standing = 'private' | 'opened' | 'spoilt' | 'foreign'

/** What a file is by its `stat`, a link's own where that may be one. Where there are no users, as on Windows, modes say nothing. */
export function standingOf (stat: Stats): Standing {
  if (!stat.isFile() || whyForeign(stat) !== undefined) return 'foreign'
  if (process.geteuid === undefined || (stat.mode & OTHERS) === 0) return 'private'
  return (stat.mode & EVERYBODY_WRITES) === 0 ? 'opened' : 'spoilt'
}

/** Why a file or folder is not this user's own; undefined where it is. */
export function whyForeign (stat: Stats): string | undefined {
  if (stat.isSymbolicLink()) return 'a link'
  const userId = process.geteuid?.()
  if (userId === undefined || stat.uid === userId) return undefined
  return `it belongs to the user ${stat.uid}, this process to ${userId}`
}

/** Logs that a spoilt file was found, the first time: a folder that was opened to everybody is full of them. */
export function spoiltNotice (log: CacheLog): (path: string) => void {
  let isNoted = false
  return (path) => {
    if (!isNoted) log.warn({ path }, 'cache: everybody could write this file, so it is deleted, and so is every other one like it')
    isNoted = true
  }
}
