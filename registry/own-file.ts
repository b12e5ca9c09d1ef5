// Who owns a file or folder, and who else could read or change it: one rule for all backends that keep files.
import { closeSync, constants, fchmodSync, fstatSync, lstatSync, openSync, type Stats } from 'node:fs'
import type { CacheLog } from './registry.js'

/** The mode of a file that its owner alone may read and write. */
export const OWNER_ONLY = 0o600

/** The mode of a folder that its owner alone may enter. */
export const FOLDER_OWNER_ONLY = 0o700

const OTHERS = 0o077
const OTHERS_WRITE = 0o022
const EVERYBODY_WRITES = 0o002
const STICKY = 0o1000

/** What to do where modes can't be changed. */
export const MODES_ARE_FIXED = 'this file system does not let modes be changed: mount it so that this user alone has access ' +
  '(WSL: the option metadata, or umask=077; SMB: dir_mode=0700,file_mode=0600), or choose a path on another one'

/**
 * What is done with an existing file. `private`: it is used. `opened`: others could read it, or its group write it; it is made private and
 * used. `spoilt`: everybody could write it, so anybody may have written its contents; it is deleted. `foreign`: it is another user's, a
 * link, or no file; it is not used.
 */
export type Standing = 'private' | 'opened' | 'spoilt' | 'foreign'

/** The standing of a file by its `lstat` or `fstat`. Modes are ignored where there are no users, as on Windows. */
export function standingOf (stat: Stats): Standing {
  if (!stat.isFile() || whyForeign(stat) !== undefined) return 'foreign'
  if (process.geteuid === undefined || (stat.mode & OTHERS) === 0) return 'private'
  return (stat.mode & EVERYBODY_WRITES) === 0 ? 'opened' : 'spoilt'
}

/** Why a file or folder is not this user's own; undefined if it is. */
export function whyForeign (stat: Stats): string | undefined {
  if (stat.isSymbolicLink()) return 'a link'
  const userId = process.geteuid?.()
  if (userId === undefined || stat.uid === userId) return undefined
  return `it belongs to the user ${stat.uid}, this process to ${userId}`
}

/**
 * Makes our folder private again if others can write it, as the kubelet leaves it for `fsGroup`. Returns why the folder can't be used;
 * undefined if it can. Throws what the file system throws.
 */
export function whyNotPrivate (path: string): string | undefined {
  const stat = lstatSync(path)
  if (!stat.isDirectory() && !stat.isSymbolicLink()) return 'not a folder'
  const why = whyForeign(stat)
  if (why !== undefined || !isWritableByOthers(stat)) return why
  // A folder that is meant for everybody, such as /tmp.
  if ((stat.mode & STICKY) !== 0) return `it is shared by all users, its mode is ${octal(stat)}; name a folder in it`
  return whyStillOpen(path)
}

/** Uses a descriptor: if the folder is replaced by a link meanwhile, the mode of the link's target is not changed. */
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

/** Logs a spoilt file, but only the first one: a folder that everybody could write is full of them. */
export function spoiltNotice (log: CacheLog): (path: string) => void {
  let isNoted = false
  return (path) => {
    if (!isNoted) log.warn({ path }, 'cache: everybody could write this file, so it is deleted, as is every other file like it')
    isNoted = true
  }
}
