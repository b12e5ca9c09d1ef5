// Many plans, one seed after another, and what is said of the first that fails: how to see it again, and the least that fails so.
import { planOf, reduced, type Plan } from './plan.js'
import { play, type Played, type Setting } from './play.js'
import { shrink } from './shrink.js'
import { sized } from '../support/size.js'

export const BACKENDS = ['memory', 'sqlite'] as const
export const PROTOCOLS = ['http1', 'http2'] as const

/** What the environment says: FUZZ_SEED, FUZZ_SECONDS, FUZZ_WITHOUT, FUZZ_ON, FUZZ_PLAN. */
export interface Campaign {
  /** The first seed. */
  readonly seed: number
  /** How many follow it at most. */
  readonly seeds: number
  readonly seconds: number
  readonly without: ReadonlySet<string>
  /** Backends and protocols; empty: all. */
  readonly on: ReadonlySet<string>
  /** A plan to be played in place of those that seeds make. */
  readonly plan: Plan | undefined
}

const DEFAULT_SECONDS = sized(48)
/** So that every machine plays the same ones, unless it is very slow. */
const DEFAULT_SEEDS = sized(120)
const SHRINK_MS = 20_000

const listOf = (text = ''): ReadonlySet<string> => new Set(text.split(',').filter((name) => name !== ''))

export function campaignOf (env: NodeJS.ProcessEnv): Campaign {
  const { FUZZ_SEED: seed, FUZZ_SECONDS: seconds, FUZZ_WITHOUT: without, FUZZ_ON: on, FUZZ_PLAN: plan } = env
  return {
    seed: Number(seed ?? 1),
    seeds: seconds !== undefined ? Infinity : seed !== undefined ? 1 : DEFAULT_SEEDS,
    seconds: Number(seconds ?? DEFAULT_SECONDS),
    without: listOf(without),
    on: listOf(on),
    plan: plan === undefined ? undefined : JSON.parse(plan) as Plan
  }
}

export interface Report { plans: number, requests: number, hits: number, failure?: readonly string[] }

/** Plays plans until one fails, or the time is over. */
export async function run (
  { seed: first, seeds, seconds, without, plan: given }: Campaign,
  { backend, protocol, share }: { backend: Setting['backend'], protocol: Plan['protocol'], share: number }
): Promise<Report> {
  const report: Report = { plans: 0, requests: 0, hits: 0 }
  const endsAt = performance.now() + seconds * share * 1_000
  const on = (plan: Plan): Promise<Played> => play(plan, { backend, without })
  for (let seed = first; seed < first + (given === undefined ? seeds : 1) && performance.now() < endsAt; seed++) {
    const plan = reduced(given ?? planOf(seed, protocol), without)
    const { wrong, requests, hits } = await on(plan)
    report.plans++
    report.requests += requests
    report.hits += hits
    if (wrong.length > 0) {
      return { ...report, failure: await told({ plan, wrong, on, again: `FUZZ_SEED=${seed} FUZZ_ON=${backend},${protocol}` }) }
    }
  }
  return report
}

async function told (
  { plan, wrong, on, again }: { plan: Plan, wrong: readonly string[], on: (plan: Plan) => Promise<Played>, again: string }
): Promise<string[]> {
  const rule = (text: string): string => text.slice(0, text.indexOf(':'))
  const first = rule(wrong[0] as string)
  const smallest = await shrink(plan, async (less) => (await on(less)).wrong.some((text) => rule(text) === first), SHRINK_MS)
  const rest = (await on(smallest)).wrong.filter((text) => rule(text) === first)
  return [...wrong, `to see it again: ${again}`, `the least that was found: FUZZ_PLAN='${JSON.stringify(smallest)}'`, ...rest]
}
