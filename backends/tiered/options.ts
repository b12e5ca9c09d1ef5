// The options of the backend `tiered`: their shape, their defaults, their checks.
import { checkOptions, duration, show, text, type Check, type Duration } from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import type { BackendChoice } from '../../registry/names.js'

/** Options of the backend `tiered`. */
export interface TieredOptions {
  /** Two or more backends by name, each with its own options, near to far. */
  tiers: readonly BackendChoice[]
  /** How long an entry stays in a tier at most, the last one excepted; never longer than it lives there. @default none */
  nearTtl?: Duration
  /**
   * How long a read waits in all for tiers that answer later; one that has not answered by then has failed. Shorter than
   * the plugin's `deadline`, so that a tier that hangs is not taken for a cache that hangs. @default '80ms'
   */
  deadline?: Duration
}

/** @default for `deadline`, in milliseconds */
export const TIERED_DEADLINE_MS = 80

/** The options as the code works with them. */
export interface Settings {
  readonly tiers: readonly BackendChoice[]
  readonly nearTtlMs: number
  readonly deadlineMs: number
}

const LEAST_TIERS = 2

const tiers: Check<readonly BackendChoice[]> = (value, who) => {
  if (!Array.isArray(value) || value.length < LEAST_TIERS) throw new CACHE_ERR_OPTION(who, 'a list of two or more backends, { backend, options }, near to far', show(value))
  return value.map((choice: unknown, index) => {
    const checked = checkOptions<{ backend: string, options: unknown }>(`${who}[${index}]`, choice, { backend: text, options: (options) => options })
    if (checked.backend === undefined) throw new CACHE_ERR_OPTION(`${who}[${index}].backend`, "a backend's name", 'none')
    return checked as BackendChoice
  })
}

/** The settings that `options` stand for. Throws CACHE_ERR_OPTION. */
export function readOptions (options: TieredOptions): Settings {
  const given = checkOptions<TieredOptions>('tiered', options, { tiers, nearTtl: duration(), deadline: duration() })
  return {
    tiers: given.tiers ?? tiers(undefined, 'tiered.tiers'),
    // The checks turned the durations into milliseconds.
    nearTtlMs: given.nearTtl as number | undefined ?? Infinity,
    deadlineMs: given.deadline as number | undefined ?? TIERED_DEADLINE_MS
  }
}
