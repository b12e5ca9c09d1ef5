// Runs a test file in a Node.js process of its own, and returns how it ended.
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

export interface ChildEnd {
  readonly exitCode: number
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

export interface ChildOptions {
  readonly nodeArgs?: string[]
  readonly args?: string[]
  readonly timeoutMs?: number
  /** The command, with its arguments, that runs Node.js. */
  readonly under?: string[]
  readonly env?: Record<string, string>
}

const LONGEST_RUN_MS = 100_000

/** `file` is relative to test/. The child uses the same loaders as this process. */
export function runChild (
  file: string, { nodeArgs = [], args = [], timeoutMs = LONGEST_RUN_MS, under = [], env = {} }: ChildOptions = {}
): Promise<ChildEnd> {
  const path = fileURLToPath(new URL(`../${file}`, import.meta.url))
  return new Promise((resolve) => {
    const [command, ...rest] = [...under, process.execPath, ...process.execArgv, ...nodeArgs, path, ...args] as [string, ...string[]]
    execFile(command, rest, { timeout: timeoutMs, killSignal: 'SIGKILL', env: { ...process.env, ...env } }, (err, stdout, stderr) => {
      const exitCode = err === null ? 0 : typeof err.code === 'number' ? err.code : 1
      resolve({ exitCode, signal: err?.signal ?? null, stdout, stderr })
    })
  })
}

/** Starts `file`, relative to test/, without this process's loaders and settings, so that many processes start fast. */
export function startBare (file: string, ...args: readonly string[]): ChildProcess {
  // Started through a shell, because tap adds its loaders to the environment of spawned processes.
  const path = fileURLToPath(new URL(`../${file}`, import.meta.url))
  return spawn('sh', ['-c', 'unset NODE_OPTIONS; exec "$0" "$@"', process.execPath, path, ...args], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
}

/** Starts `file` of test/support/children, which runs until the test ends. Resolves to the first thing that it prints. */
export async function startChild (t: Test, file: string, args: readonly string[]): Promise<string> {
  const path = fileURLToPath(new URL(`./children/${file}`, import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv, path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const [said] = await once(child.stdout, 'data') as [Buffer]
  return said.toString().trim()
}
