// A user other than the one that runs the tests: it can own files and run processes.
import { execFileSync } from 'node:child_process'

/** Nobody's user id. */
export const NOBODY = 65_534

const COMMAND = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']
const isRoot = process.getuid?.() === 0

/** The command that runs another one as nobody. */
export const asNobody = [...COMMAND]

/** Why a test can't give files to another user here; false if it can. The reason is printed, so that nobody mistakes a skip for a pass. */
export const needsRoot = isRoot ? false : 'SKIPPED: needs root'

/** Why a test can't run as another user here; false if it can. */
export const needsSetpriv = !isRoot || !runs('')
  ? 'SKIPPED: needs root and setpriv'
  : !runs(`require('node:fs').accessSync(${JSON.stringify(import.meta.filename)})`)
      ? 'SKIPPED: this checkout can not be read by other users'
      : false

/** Whether nobody can run this code. */
function runs (code: string): boolean {
  try {
    execFileSync(COMMAND[0] as string, [...COMMAND.slice(1), process.execPath, '-e', code], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
