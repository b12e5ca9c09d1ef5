// Divides the time for each backend among the measurements.
import type { Workload } from '../core/workload.js'
import type { Settings } from './arguments.js'

export interface Plan {
  readonly fillMs: number
  readonly rounds: number
  readonly sliceMs: number
  readonly delayMs: number
  readonly writingMs: number
  readonly sizeRounds: number
  readonly sizeMs: number
  readonly servedRounds: number
  readonly servedMs: number
  /** The first workload is for all measurements except that of value sizes. Each of the others is for one value size. */
  readonly workloads: readonly Workload[]
}

/** The number of rounds that don't count, because the compiler and the processor's caches are still cold. */
export const WARM_ROUNDS = 1

const SHARES = { fill: 0.1, operations: 0.36, delay: 0.06, writing: 0.1, sizes: 0.15, served: 0.23 }

// The slices of a round: get, set together with delete (which counts as two), replace, miss.
const SLICES = 5
// The slices for each value size: a fill, gets and replaces.
const SIZE_SLICES = 3
// The slices for requests. Each of three routes has two: concurrent requests, then one request at a time.
const SERVED_SLICES = 6

// The most bytes of all entries of one value size, so that a bounded store has room for them.
const SIZE_BYTES = 40_000_000
const LEAST_ENTRIES = 16

export function planOf ({ seconds, entries, valueBytes, sizes, inFlight }: Settings): Plan {
  const ms = (share: number): number => seconds * 1_000 * share
  const [rounds, sizeRounds, servedRounds] = seconds >= 10 ? [9, 3, 7] : [5, 2, 5]
  return {
    fillMs: ms(SHARES.fill),
    rounds,
    sliceMs: ms(SHARES.operations) / (rounds + WARM_ROUNDS) / SLICES,
    delayMs: ms(SHARES.delay),
    writingMs: ms(SHARES.writing),
    sizeRounds,
    sizeMs: ms(SHARES.sizes) / sizes.length / sizeRounds / SIZE_SLICES,
    servedRounds,
    servedMs: ms(SHARES.served) / (servedRounds + WARM_ROUNDS) / SERVED_SLICES,
    workloads: [
      { entries, valueBytes, inFlight },
      ...sizes.map((bytes) => ({
        entries: Math.min(entries, Math.max(LEAST_ENTRIES, Math.floor(SIZE_BYTES / bytes))), valueBytes: bytes, inFlight
      }))
    ]
  }
}
