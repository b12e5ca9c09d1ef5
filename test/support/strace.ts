// Runs a process whose system calls fail, or do nothing, as a test says.
import { execFileSync } from 'node:child_process'

/** Why a test can't change system calls here; false when it can. Said in the output, so that nobody takes it for passed. */
export const needsStrace = works() ? false : 'SKIPPED: needs strace and the right to trace'

/** What runs a command with this injected, as strace spells it: `fsync:error=EIO:when=3`. */
export function injecting (inject: string): string[] {
  return ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `trace=${inject.split(':')[0]}`, '-e', `inject=${inject}`]
}

function works (): boolean {
  try {
    const [command, ...args] = injecting('fsync:error=EIO') as [string, ...string[]]
    execFileSync(command, [...args, 'true'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
