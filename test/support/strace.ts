// Runs a process whose system calls fail, or do nothing, on command.
import { execFileSync } from 'node:child_process'

/** Why a test can't change system calls here; false if it can. The reason is printed, so that nobody mistakes a skip for a pass. */
export const needsStrace = works() ? false : 'SKIPPED: needs strace and the right to trace'

/** The command that runs another one with this injection in strace's syntax: `fsync:error=EIO:when=3`. */
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
