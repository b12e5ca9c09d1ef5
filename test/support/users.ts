// Another user than the one who runs the tests: files are given to it, and a process is run as it.
import { execFileSync } from 'node:child_process'

/** Nobody's user id. */
export const NOBODY = 65_534

const COMMAND = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']
const isRoot = process.getuid?.() === 0

/** What runs a command as nobody. */
export const asNobody = [...COMMAND]

/** Why a test can't give files to another user here; false when it can. Said in the output, so that nobody takes it for passed. */
export const needsRoot = isRoot ? false : 'SKIPPED: needs root'

/** Why a test can't run as another user here; false when it can. */
export const needsSetpriv = !isRoot || !runs('')
  ? 'SKIPPED: needs root and setpriv'
  : !runs(`require('node:fs').accessSync(${JSON.stringify(import.meta.filename)})`)
      ? 'SKIPPED: this checkout lies where other users may not look'
      : false

/** Whether nobody can run this. */
function runs (code: string): boolean {
  try {
    execFileSync(COMMAND[0] as string, [...COMMAND.slice(1), process.execPath, '-e', code], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
