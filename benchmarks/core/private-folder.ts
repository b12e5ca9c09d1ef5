// Folders for what a measurement writes: made for it, and gone with it, whichever of its processes ends last.
import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** A folder for one run, in the system's folder for temporary files. */
export function makeRunFolder (): string {
  return mkdtempSync(join(tmpdir(), 'cache-bench-'))
}

/** A folder below that of the run, for one process alone. */
export function makePrivate (runFolder: string, name: string): string {
  const folder = join(runFolder, name)
  mkdirSync(folder, { mode: 0o700 })
  return folder
}

/** Removes it, and the folder of the run when nothing else is left in there. */
export function removePrivate (folder: string): void {
  rmSync(folder, { recursive: true, force: true })
  try {
    rmdirSync(dirname(folder))
  } catch {
    // Another process still has a folder there, or it has gone already.
  }
}
