// Small disks for single tests, and what a test needs for that.
import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

function runs (command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Why a test that mounts a disk can't run here; false if it can. */
export const needsMount = process.getuid?.() === 0 && runs('unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt')
  ? false
  : 'SKIPPED: needs root and the right to mount'

/** Why a test that limits the size of files can't run here; false if it can. */
export const needsShell = process.platform === 'win32' ? 'SKIPPED: needs a shell with ulimit' : false as const

/** Why a test can't limit the files of its own process here; false if it can. */
export const needsPrlimit = runs('prlimit', '--version') ? false : 'SKIPPED: needs prlimit'

/** From now on no file that this process writes may be longer. Returns a function that lifts the limit. */
export function limitFileSize (bytes: number | 'unlimited'): () => void {
  // The system sends this signal if a file grows too large, and it would end the process.
  process.on('SIGXFSZ', () => {})
  execFileSync('prlimit', [`--pid=${process.pid}`, `--fsize=${bytes}:`])
  return () => { limitFileSize('unlimited') }
}

/** A small disk. `options` are those of tmpfs. It is not in tap's own folder, because that is removed before the teardowns run. */
export function smallDisk (t: Test, options: string): string {
  const path = mkdtempSync(join(tmpdir(), 'small-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', path])
  t.teardown(() => {
    execFileSync('umount', ['-l', path])
    rmSync(path, { recursive: true })
  })
  return path
}

/** Takes all free room. Returns a function that frees it. */
export function takeRoom (path: string): () => void {
  const filler = join(path, 'filler')
  for (let bytes = 1_048_576; bytes >= 4_096;) {
    try {
      appendFileSync(filler, Buffer.alloc(bytes))
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOSPC') throw error
      bytes /= 2
    }
  }
  return () => { rmSync(filler, { force: true }) }
}

/** Writes files until there is no room for another block. Returns how much room they take. */
export function fillDisk (path: string): number {
  for (let at = 0; ; at++) {
    try {
      writeFileSync(join(path, `filler-${at}`), Buffer.alloc(4_096))
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOSPC') throw error
      return at * 4_096
    }
  }
}
