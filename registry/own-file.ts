// Whose a file or folder is that was found, and who else could read or change it: one rule for every backend that keeps files.
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

/**
 * Makes a folder of ours private again where others could write it, as the kubelet leaves it for `fsGroup`. Returns why it can't be
 * used; undefined where it can. Throws what the file system throws.
 */
export function whyNotPrivate (path: string): string | undefined {
  const stat = lstatSync(path)
  if (!stat.isDirectory() && !stat.isSymbolicLink()) return 'not a folder'
  const why = whyForeign(stat)
  if (why !== undefined || !isWritableByOthers(stat)) return why
  // Everybody is meant to use it, as /tmp.
  if ((stat.mode & STICKY) !== 0) return `it is shared by all users, its mode is ${octal(stat)}; name a folder in it`
  return whyStillOpen(path)
}

/** By a descriptor: what comes to lie at the path meanwhile, a link to elsewhere, keeps its rights. */
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

/** Logs that a spoilt file was found, the first time: a folder that was opened to everybody is full of them. */
export function spoiltNotice (log: CacheLog): (path: string) => void {
  let isNoted = false
  return (path) => {
    if (!isNoted) log.warn({ path }, 'cache: everybody could write this file, so it is deleted, and so is every other one like it')
    isNoted = true
  }
}
