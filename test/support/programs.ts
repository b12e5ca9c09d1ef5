// Programs that are not part of Node.js: which are installed, and how one is run.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Test } from 'tap'

interface Program { readonly program: string }

interface Servers {
  PROGRAMS: readonly Program[]
  env: NodeJS.ProcessEnv
  missing: (one: Program) => string | undefined
}

const { PROGRAMS, env, missing } = await import(new URL('../../../scripts/servers.js', import.meta.url).href) as Servers

/** The environment in which programs are looked up. */
export { env }

/** Options of a test that starts these programs: if one is missing, the test is skipped, and the reason says how to get it. */
export function needs (...programs: string[]): { skip: string } | {} {
  const failures = programs.flatMap((program) => missing(PROGRAMS.find((one) => one.program === program) as Program) ?? [])
  return failures.length === 0 ? {} : { skip: failures.join('; ') }
}

/** Skips the whole file if one of these programs is missing. Must be called first. */
export function fileNeeds (t: Test, ...programs: string[]): void {
  const lack = needs(...programs)
  if (!('skip' in lack)) return
  t.plan(0, lack.skip)
  process.exit()
}

interface Ran { readonly code: number | null, readonly stdout: Buffer, readonly stderr: string }

/** Runs a program, and returns its output. It is killed with the test's process, and after half a minute. */
export async function ran (program: string, args: readonly string[], { cwd }: { cwd?: string } = {}): Promise<Ran> {
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 30_000, ...(cwd !== undefined && { cwd }) })
  const [out, err]: Buffer[][] = [[], []]
  child.stdout.on('data', (chunk: Buffer) => out?.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err?.push(chunk))
  const [code] = await once(child, 'close') as [number | null]
  return { code, stdout: Buffer.concat(out as Buffer[]), stderr: Buffer.concat(err as Buffer[]).toString() }
}
