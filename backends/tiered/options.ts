// The options of the backend `tiered`: their shape, their defaults, their checks.
import { checkOptions, duration, show, text, type Check, type Duration } from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import type { BackendChoice } from '../../registry/names.js'

/** Options of the backend `tiered`. */
export interface TieredOptions {
  /** Two or more backends by name, each with its own options, near to far. */
  tiers: readonly BackendChoice[]
  /**
   * How long an entry stays in a tier at most, the last one excepted; never longer than it lives there. For so long this process may
   * serve what another one has changed or invalidated. Where the last tier is `memory` there is no other one, and no default. @default '1s'
   */
  nearTtl?: Duration
  /**
   * How long a read waits in all for tiers that answer later; one that has not answered by then has failed. Shorter than
   * the plugin's `deadline`, so that a tier that hangs is not taken for a cache that hangs. @default '80ms'
   */
  deadline?: Duration
}

/** @default for `deadline`, in milliseconds */
export const TIERED_DEADLINE_MS = 80

/** @default for `nearTtl`, in milliseconds. It is also how long a copy of a tag's stamp is used at most. */
export const TIERED_NEAR_TTL_MS = 1_000

/** The options as the code works with them. */
export interface Settings {
  readonly tiers: readonly BackendChoice[]
  readonly nearTtlMs: number
  /** The same for stamps of tags. */
  readonly stampTtlMs: number
  readonly deadlineMs: number
}

const LEAST_TIERS = 2

const tiers: Check<readonly BackendChoice[]> = (value, who) => {
  if (!Array.isArray(value) || value.length < LEAST_TIERS) {
    throw new CACHE_ERR_OPTION(who, 'a list of two or more backends, { backend, options }, near to far', show(value))
  }
  return value.map((choice: unknown, index) => {
    const checked = checkOptions<{ backend: string, options: unknown }>(`${who}[${index}]`, choice, {
      backend: text, options: (options) => options
    })
    if (checked.backend === undefined) throw new CACHE_ERR_OPTION(`${who}[${index}].backend`, "a backend's name", 'none')
    return checked as BackendChoice
  })
}

/** The settings that `options` stand for. Throws CACHE_ERR_OPTION. */
export function readOptions (options: TieredOptions): Settings {
  const given = checkOptions<TieredOptions>('tiered', options, { tiers, nearTtl: duration(), deadline: duration() })
  const checked = given.tiers ?? tiers(undefined, 'tiered.tiers')
  const isShared = checked.at(-1)!.backend !== 'memory'
  // The checks turned the durations into milliseconds.
  const nearTtlMs = given.nearTtl as number | undefined ?? (isShared ? TIERED_NEAR_TTL_MS : Infinity)
  return {
    tiers: checked,
    nearTtlMs,
    stampTtlMs: isShared ? Math.min(nearTtlMs, TIERED_NEAR_TTL_MS) : nearTtlMs,
    deadlineMs: given.deadline as number | undefined ?? TIERED_DEADLINE_MS
  }
}
