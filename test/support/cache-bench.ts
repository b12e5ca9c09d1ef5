// Runs the built cache-bench in a process group of its own, with its own folder for temporary files.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Test } from 'tap'
import { root } from './sources.js'

/** The shortest run that measures everything. */
export const TINY = ['--seconds', '0.5', '--entries', '64', '--sizes', '100,10000']

export interface BenchRun {
  /** Resolves when the process has ended. */
  readonly ended: Promise<{ readonly exitCode: number | null, readonly stdout: string, readonly stderr: string }>
  readonly pid: number
  /** What it has written to standard error so far. */
  stderr (): string
  /** Resolves when no process of its group is left. */
  groupEnded (): Promise<void>
  /** The files in its folder for temporary files. */
  leftovers (): string[]
}

/** A folder that is removed after the test. */
export function benchFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'bench-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function startBench (t: Test, args: readonly string[], folder = benchFolder(t)): BenchRun {
  const temporary = join(folder, 'temporary')
  mkdirSync(temporary, { recursive: true })
  // Started through a shell, because tap adds its loaders to the environment of spawned processes. Users have no loaders.
  const child = spawn('sh',
    ['-c', 'unset NODE_OPTIONS; exec "$0" "$@"', process.execPath, join(root, 'dist/benchmarks/cache-bench/cli.js'), ...args], {
      cwd: folder, env: { ...process.env, TMPDIR: temporary }, detached: true, stdio: ['ignore', 'pipe', 'pipe']
    })
  const pid = child.pid!
  const isGroupThere = (): boolean => {
    try {
      return process.kill(-pid, 0)
    } catch {
      return false
    }
  }
  t.teardown(() => { if (isGroupThere()) process.kill(-pid, 'SIGKILL') })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => { stdout += chunk })
  child.stderr.on('data', (chunk) => { stderr += chunk })
  return {
    pid,
    ended: new Promise((resolve) => child.once('close', (exitCode) => resolve({ exitCode, stdout, stderr }))),
    stderr: () => stderr,
    async groupEnded () { while (isGroupThere()) await wait(20) },
    leftovers: () => readdirSync(temporary)
  }
}
