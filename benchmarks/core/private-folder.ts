// Creates and removes folders for the processes of a run. The process that ends last also removes the run's folder.
import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** Creates a folder for one run, in the system's temporary folder. */
export function makeRunFolder (): string {
  return mkdtempSync(join(tmpdir(), 'cache-bench-'))
}

/** Creates a folder inside the run's folder, for one process. */
export function makePrivate (runFolder: string, name: string): string {
  const folder = join(runFolder, name)
  mkdirSync(folder, { mode: 0o700 })
  return folder
}

/** Removes a process's folder. Also removes the run's folder if it is empty after that. */
export function removePrivate (folder: string): void {
  // A write that is under way may still create a file in it.
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
  try {
    rmdirSync(dirname(folder))
  } catch {
    // Another process still has a folder there, or the folder was removed already.
  }
}
