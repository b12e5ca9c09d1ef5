// Runs the measurements: opens all backends, which then take turns in each measurement. Leaves nothing behind.
import { rmSync } from 'node:fs'
import { Contender } from '../core/contender.js'
import type { Filled, Operation } from '../core/bench.js'
import type { Delay } from '../core/delay.js'
import { makePrivate, makeRunFolder } from '../core/private-folder.js'
import { takeTurns } from '../core/turns.js'
import type { Settings } from './arguments.js'
import { planOf, WARM_ROUNDS, type Plan } from './plan.js'
import type { Progress } from './progress.js'
import { lineOf, Refusal } from './refusal.js'
import { Served } from './served.js'
import type { Source } from './sources.js'
import { yardstick } from './yardstick.js'

/** One backend, and its measurements so far. */
export interface Part {
  readonly source: Source
  readonly contender: Contender
  readonly served: Served
  filled: Filled
  delay: Delay
  /** How late timers were while all operations were writes. */
  writing: Delay
  /** For each workload after the first: operations per second in each round. */
  readonly sizes: Array<{ get: number[], replace: number[], entries: number }>
}

/** The results of the run, each by round. */
export interface Outcome {
  readonly parts: readonly Part[]
  readonly results: ReadonlyArray<Awaited<ReturnType<Contender['results']>>>
  readonly yardsticks: readonly number[]
}

const OPERATIONS: readonly Operation[] = ['get', 'set', 'replace', 'miss']

/** A steady pace, as an application may have it. */
export const PACE_PER_SECOND = 2_000

// The least warm-up for requests, because a new server has not compiled its code yet.
const LEAST_WARM_MS = 200

interface Stage { readonly plan: Plan, readonly signal: AbortSignal, readonly progress: Progress }

/** Measures all backends. Rejects with Refusal if one can't be opened, with its error if it fails later, or when `signal` is aborted. */
export async function run (sources: readonly Source[], settings: Settings, { signal, progress }: Omit<Stage, 'plan'>): Promise<Outcome> {
  const stage = { plan: planOf(settings), signal, progress }
  const folder = makeRunFolder()
  const parts: Part[] = []
  // Calls that wait for one of the processes are rejected when it ends.
  const stopAll = async (): Promise<void> => {
    await Promise.all(parts.flatMap(({ contender, served }) => [contender.stop(), served.stop()]))
  }
  const aborted = (): void => { stopAll().catch(() => {}) }
  signal.addEventListener('abort', aborted)
  try {
    for (const source of sources) await open(source, { ...stage, folder, parts })
    const yardsticks = await measure(parts, stage)
    await serve(parts, stage, { folder, valueBytes: settings.valueBytes })
    return { parts, results: await Promise.all(parts.map(({ contender }) => contender.results())), yardsticks }
  } finally {
    signal.removeEventListener('abort', aborted)
    progress.say('closing')
    await stopAll()
    rmSync(folder, { recursive: true, force: true })
    progress.clear()
  }
}

async function open (source: Source, { plan, signal, progress, folder, parts }: Stage & { folder: string, parts: Part[] }): Promise<void> {
  signal.throwIfAborted()
  progress.say(`${source.name}: opening and filling`)
  const privateFolder = makePrivate(folder, `${parts.length}-operations`)
  const part: Part = {
    source,
    contender: new Contender(source.name),
    served: new Served(),
    filled: undefined as never,
    delay: undefined as never,
    writing: undefined as never,
    sizes: []
  }
  parts.push(part)
  try {
    await part.contender.open({
      moduleUrl: import.meta.resolve('../core/opened.js'),
      options: source.at(privateFolder),
      workloads: plan.workloads,
      tidies: source.stays,
      privateFolder
    })
  } catch (error) {
    signal.throwIfAborted()
    throw new Refusal(`${source.name} can't be opened: ${lineOf(error)}`)
  }
  part.filled = await about(part, () => part.contender.fill(plan.fillMs))
}

/** Measures operations, delay and value sizes. Returns the speed of the machine in each round. */
async function measure (parts: readonly Part[], { plan, signal, progress }: Stage): Promise<number[]> {
  const yardsticks: number[] = []
  for (let warm = 0; warm < WARM_ROUNDS; warm++) {
    await takeTurns(parts, 1, async (part) => { await about(part, () => part.contender.round(OPERATIONS, plan.sliceMs)) })
  }
  for (const part of parts) await about(part, () => part.contender.discardRounds())
  await takeTurns(parts, plan.rounds, async (part, round) => {
    signal.throwIfAborted()
    progress.say(`operations, round ${round + 1} of ${plan.rounds}: ${part.source.name}`)
    if (yardsticks.length === round) yardsticks.push(yardstick())
    await about(part, () => part.contender.round(OPERATIONS, plan.sliceMs))
  })
  for (const part of parts) {
    signal.throwIfAborted()
    progress.say(`event-loop delay: ${part.source.name}`)
    part.delay = await about(part, () => part.contender.delay({ perSecond: PACE_PER_SECOND, setsInTen: 1 }, plan.delayMs))
    progress.say(`event-loop delay, writes only: ${part.source.name}`)
    part.writing = await about(part, () => part.contender.delay({ perSecond: PACE_PER_SECOND, setsInTen: 10 }, plan.writingMs))
    await about(part, () => part.contender.tidy(0))
  }
  for (let at = 1; at < plan.workloads.length; at++) await measureSize(parts, at, { plan, signal, progress })
  return yardsticks
}

async function measureSize (parts: readonly Part[], at: number, { plan, signal, progress }: Stage): Promise<void> {
  for (const part of parts) {
    const { entries } = await about(part, () => part.contender.fill(plan.sizeMs * plan.sizeRounds, at))
    part.sizes[at - 1] = { get: [], replace: [], entries }
  }
  await takeTurns(parts, plan.sizeRounds, async (part) => {
    signal.throwIfAborted()
    progress.say(`values of ${plan.workloads[at]!.valueBytes} bytes: ${part.source.name}`)
    for (const operation of ['get', 'replace'] as const) {
      part.sizes[at - 1]![operation].push(await about(part, () => part.contender.perSecond(operation, plan.sizeMs, at)))
    }
  })
  for (const part of parts) await about(part, () => part.contender.tidy(at))
}

async function serve (
  parts: readonly Part[], { plan, signal, progress }: Stage, { folder, valueBytes }: { folder: string, valueBytes: number }
): Promise<void> {
  for (const [at, part] of parts.entries()) {
    signal.throwIfAborted()
    progress.say(`hits through the plugin: opening ${part.source.name}`)
    const privateFolder = makePrivate(folder, `${at}-served`)
    await about(part, () =>
      part.served.open({ source: part.source.at(privateFolder), valueBytes, tidies: part.source.stays, privateFolder }))
  }
  for (const part of parts) await about(part, () => part.served.round(Math.max(plan.servedMs, LEAST_WARM_MS)))
  for (const { served } of parts) served.discardRounds()
  await takeTurns(parts, plan.servedRounds, async (part, round) => {
    signal.throwIfAborted()
    progress.say(`hits through the plugin, round ${round + 1} of ${plan.servedRounds}: ${part.source.name}`)
    await about(part, () => part.served.round(plan.servedMs))
  })
}

/** Calls `work`, and adds the name of the backend to its errors. */
async function about<T> ({ source }: Part, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw new Error(`${source.name}: ${lineOf(cause)}`, { cause })
  }
}
