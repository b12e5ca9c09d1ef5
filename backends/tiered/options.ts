// The options of the backend `tiered`: their types, their defaults and their checks.
import { checkOptions, duration, show, text, type Check, type Duration } from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import type { BackendChoice } from '../../registry/names.js'

/** Options of the backend `tiered`. */
export interface TieredOptions {
  /** Two or more backends, from near to far. Each is given by its name, with its options. */
  tiers: readonly BackendChoice[]
  /**
   * How long an entry stays in a tier other than the last one, but never longer than its own lifetime. For this time, a process may serve
   * an entry that another process has changed or invalidated. If the last tier is `memory`, which no other process shares, there is no
   * limit by default. @default '1s'
   */
  nearTtl?: Duration
  /**
   * How long a read waits for all asynchronous tiers together. A tier that has not responded by then counts as failed. This is shorter than
   * the plugin's `deadline`, so that a tier that hangs does not look like a cache that hangs. @default '80ms'
   */
  deadline?: Duration
}

/** The default value of the option `deadline`, in milliseconds. */
export const TIERED_DEADLINE_MS = 80

/** The default value of the option `nearTtl`, in ms. If the last tier is shared, a copy of a tag's stamp is never used for longer. */
export const TIERED_NEAR_TTL_MS = 1_000

/** The options after validation, with defaults filled in and durations in milliseconds. */
export interface Settings {
  readonly tiers: readonly BackendChoice[]
  readonly nearTtlMs: number
  /** Like `nearTtlMs`, but for copies of tags' stamps. */
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

/** Returns the settings for `options`. Throws CACHE_ERR_OPTION if an option is wrong. */
export function readOptions (options: TieredOptions): Settings {
  const given = checkOptions<TieredOptions>('tiered', options, { tiers, nearTtl: duration(), deadline: duration() })
  const checked = given.tiers ?? tiers(undefined, 'tiered.tiers')
  const isShared = checked.at(-1)!.backend !== 'memory'
  // The checks have already converted the durations to milliseconds.
  const nearTtlMs = given.nearTtl as number | undefined ?? (isShared ? TIERED_NEAR_TTL_MS : Infinity)
  return {
    tiers: checked,
    nearTtlMs,
    stampTtlMs: isShared ? Math.min(nearTtlMs, TIERED_NEAR_TTL_MS) : nearTtlMs,
    deadlineMs: given.deadline as number | undefined ?? TIERED_DEADLINE_MS
  }
}
