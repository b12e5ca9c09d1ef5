// Checks who owns a file or folder, and who else can read or change it. All backends that keep files use these rules.
import { closeSync, constants, fchmodSync, fstatSync, lstatSync, openSync, type Stats } from 'node:fs'
import type { CacheLog } from './registry.js'

/** The mode of a file that only its owner may read and write. */
export const OWNER_ONLY = 0o600

/** The mode of a folder that only its owner may enter. */
export const FOLDER_OWNER_ONLY = 0o700

const OTHERS = 0o077
const OTHERS_WRITE = 0o022
const EVERYBODY_WRITES = 0o002
const STICKY = 0o1000

/** The advice in errors that are thrown because a file system does not let modes be changed. */
export const MODES_ARE_FIXED = 'this file system does not let modes be changed: mount it so that this user alone has access ' +
  '(WSL: the option metadata, or umask=077; SMB: dir_mode=0700,file_mode=0600), or choose a path on another one'

/**
 * How safe an existing file is, and what happens to it.
 * - `private`: only this user has access. It is used.
 * - `opened`: other users have access, but the file is not world-writable. It is made private, then used.
 * - `spoilt`: the file is world-writable, so any user may have written its contents. It is deleted.
 * - `foreign`: it belongs to another user, or it is a link or something else that is not a file. It is not used.
 */
export type Standing = 'private' | 'opened' | 'spoilt' | 'foreign'

/** Returns the standing of a file, given its `lstat` or `fstat`. On systems without user ids, such as Windows, it ignores the mode. */
export function standingOf (stat: Stats): Standing {
  if (!stat.isFile() || whyForeign(stat) !== undefined) return 'foreign'
  if (process.geteuid === undefined || (stat.mode & OTHERS) === 0) return 'private'
  return (stat.mode & EVERYBODY_WRITES) === 0 ? 'opened' : 'spoilt'
}

/** Returns why a file or folder does not belong to this user, or undefined if it does. */
export function whyForeign (stat: Stats): string | undefined {
  if (stat.isSymbolicLink()) return 'a link'
  const userId = process.geteuid?.()
  if (userId === undefined || stat.uid === userId) return undefined
  return `it belongs to the user ${stat.uid}, this process to ${userId}`
}

/**
 * If other users can write to this user's folder, makes the folder private again. (In Kubernetes, `fsGroup` lets other users write to it.)
 * Returns why the folder can't be used, or undefined if it can. Throws the errors of the file system.
 */
export function whyNotPrivate (path: string): string | undefined {
  const stat = lstatSync(path)
  if (!stat.isDirectory() && !stat.isSymbolicLink()) return 'not a folder'
  const why = whyForeign(stat)
  if (why !== undefined || !isWritableByOthers(stat)) return why
  // The sticky bit marks a folder that is meant for all users, such as /tmp.
  if ((stat.mode & STICKY) !== 0) return `it is shared by all users, its mode is ${octal(stat)}; name a folder in it`
  return whyStillOpen(path)
}

/** Makes a folder private. Uses a descriptor, because a link may replace the folder meanwhile. Returns why the folder can't be used. */
function whyStillOpen (path: string): string | undefined {
  const folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  try {
    const why = whyForeign(fstatSync(folder))
    if (why !== undefined) return why
    fchmodSync(folder, FOLDER_OWNER_ONLY)
    const stat = fstatSync(folder)
    return isWritableByOthers(stat) ? `others can write it, its mode is ${octal(stat)}, and ${MODES_ARE_FIXED}` : undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error
    return `others can write it, and ${MODES_ARE_FIXED}`
  } finally {
    closeSync(folder)
  }
}

function isWritableByOthers ({ mode }: Stats): boolean {
  return process.geteuid !== undefined && (mode & OTHERS_WRITE) !== 0
}

function octal ({ mode }: Stats): string {
  return (mode & 0o7777).toString(8)
}

/** Returns a function that logs a world-writable file, but only the first one, because a folder may contain many. */
export function spoiltNotice (log: CacheLog): (path: string) => void {
  let isNoted = false
  return (path) => {
    if (!isNoted) log.warn({ path }, 'cache: everybody could write this file, so it is deleted, as is every other file like it')
    isNoted = true
  }
}
