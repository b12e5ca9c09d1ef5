// Runs the backend in a child process, which uses and closes it, or is killed while it writes or has a lease.
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { isAbsolute } from 'node:path'
import { patient } from './outcome.js'
import type { Program } from './subject.js'

/** The things that a child process can do with its backend. */
export type Way = 'use and close' | 'set and close' | 'write until killed' | 'write for a while' | 'claim until killed'

/**
 * The keys that the child process writes in each round, the size of their values, and the number of rounds. A value's bytes are all equal.
 */
export const WRITTEN = { keys: ['written 0', 'written 1', 'written 2'], bytes: 1024 * 1024, rounds: 30 }

/** Returns the small key that the child process sets before it writes round `round`. */
export const acknowledgedKey = (round: number): string => `acknowledged ${round}`

/** The key that the child process claims, and for how many milliseconds it has the lease. */
export const CLAIMED = { key: 'claimed', leaseMs: 3_000, fillMs: 600_000 }

const LONGEST_START_MS = 30_000
const MARK = 'kit:'

// This program is passed on the command line, so that it needs no file, compiled or not.
const SCRIPT = `
  import { writeSync } from 'node:fs'
  const [module, where, way, startedAt, keys, bytes, rounds, claimed] = process.argv.slice(1).map((argument) => JSON.parse(argument))
  const { open } = await import(module)
  const backend = await open(where)
  // In the future by the clock of the parent process, and by this one's.
  const expiresAt = Math.max(startedAt, Date.now()) + 86_400_000
  const tell = (what) => { writeSync(1, '\\n${MARK}' + JSON.stringify(what) + '\\n') }
  const write = async (round) => {
    await backend.set('acknowledged ' + round, { value: Buffer.from('value'), expiresAt })
    tell(round)
    await Promise.all(keys.map((key) => backend.set(key, { value: Buffer.alloc(bytes, 97 + round % 26), expiresAt })))
  }
  if (way === 'use and close') {
    await backend.set('key', { value: Buffer.from('value'), expiresAt })
    await backend.get('key')
    await backend.delete('key')
  }
  if (way === 'set and close') await backend.set('key', { value: Buffer.from('value'), expiresAt })
  if (way === 'write for a while') for (let round = 0; round < rounds; round++) await write(round)
  if (way === 'write until killed') for (let round = 0; ; round++) await write(round)
  if (way === 'claim until killed') {
    const { token } = await backend.claim(claimed.key, claimed)
    if (token !== undefined) tell(0)
    await new Promise((resolve) => { setTimeout(resolve, 86_400_000) })
  }
  await backend.close()
  tell({ closed: true, open: process.getActiveResourcesInfo().filter((kind) => kind !== 'PipeWrap' && kind !== 'TTYWrap') })
`

/** A child process. */
export interface Child {
  /** The rounds whose small key has been set so far. */
  readonly rounds: readonly number[]
  /** Settles when the small key of the first round has been set, or when the key has been claimed. */
  begun (): Promise<void>
  /** Resolves when the child process has closed its backend. Returns the resources that are still open there. */
  closed (): Promise<readonly string[]>
  /** Waits for the process to end. Returns whether it ended within `patienceMs`, multiplied by the subject's patience. */
  ends (patienceMs: number): Promise<boolean>
  kill (): Promise<void>
  /** Returns everything that the process wrote to its standard error. */
  complaints (): string
}

/** Starts a child process whose backend uses the store that was opened last. */
export function startChild ({ module, where }: Program, way: Way, now: number): Child {
  const told = [urlOf(module), where(), way, now, WRITTEN.keys, WRITTEN.bytes, WRITTEN.rounds, CLAIMED]
    .map((argument) => JSON.stringify(argument))
  // All flags of this process are passed on, except those for a test runner or a debugger.
  const flags = process.execArgv.filter((flag) => !/^--?(test|watch|inspect|input-type|eval|print|e|p)\b/.test(flag))
  const child = spawn(process.execPath, [...flags, '--input-type=module', '--eval', SCRIPT, '--', ...told], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  return watch(child, way)
}

function urlOf (module: string | URL): string {
  return module instanceof URL ? module.href : isAbsolute(module) ? pathToFileURL(module).href : module
}

function watch (child: ChildProcess, way: Way): Child {
  const rounds: number[] = []
  let errors = ''
  let open: readonly string[] | undefined
  const waiting = new Set<() => void>()
  const changed = (): void => { for (const wake of waiting) wake() }
  const exited = once(child, 'close').then(changed, changed)
  child.stderr!.setEncoding('utf8').on('data', (text: string) => { errors += text })
  createInterface({ input: child.stdout! }).on('line', (line) => {
    if (!line.startsWith(MARK)) return
    const told = JSON.parse(line.slice(MARK.length)) as number | { open: string[] }
    if (typeof told === 'number') rounds.push(told)
    else open = told.open
    changed()
  })

  const until = async (what: string, holds: () => boolean): Promise<void> => {
    const endsAt = performance.now() + patient(LONGEST_START_MS)
    while (!holds()) {
      const end = child.signalCode ?? (child.exitCode === null ? undefined : `exit code ${child.exitCode}`)
      const late = performance.now() < endsAt ? undefined : `had not done so after ${patient(LONGEST_START_MS)} ms`
      const wrong = end === undefined ? late : `ended with ${end}`
      assert.ok(wrong === undefined, `the program must ${what}; it ${wrong}: ${errors.trim()}`)
      await within(endsAt - performance.now(), new Promise<void>((resolve) => waiting.add(resolve)))
      waiting.clear()
    }
  }
  return {
    rounds,
    begun: () => until(`open its backend and ${way === 'claim until killed' ? 'claim a key' : 'set entries'}`, () => rounds.length > 0),
    async closed () {
      await until('use its backend and close it', () => open !== undefined)
      return open ?? []
    },
    ends: (patienceMs) => within(patient(patienceMs), exited),
    async kill () { child.kill('SIGKILL'); await exited },
    complaints: () => errors.trim()
  }
}

/** Returns whether `settled` settles within `ms`. */
async function within (ms: number, settled: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => { timer = setTimeout(() => resolve(false), ms) })
  const isSettled = await Promise.race([settled.then(() => true, () => true), late])
  clearTimeout(timer)
  return isSettled
}
