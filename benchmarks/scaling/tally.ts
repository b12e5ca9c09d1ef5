// What is counted in a simulation, second by second.

/** The commands that a process sends to the store, and the messages that the store sends to processes. */
export const OPERATIONS = [
  'hit', 'miss', 'stamp', 'claim', 'busy', 'quicker', 'renew', 'settle', 'release', 'set', 'remove', 'setStamp', 'version', 'message'
] as const
export type Operation = typeof OPERATIONS[number]

const COUNTED = [...OPERATIONS, 'requests', 'served', 'runs', 'stale', 'notStored', 'popularStamp'] as const
export type Counted = typeof COUNTED[number]

export class Tally {
  /** The last number of each is for what happened after the last second. */
  readonly #bySecond: ReadonlyMap<Counted, Float64Array>
  readonly #now: () => number
  /** The most runs at a time for one key that began since the key was last changed, in each second. */
  readonly atOnce: Float64Array
  /** The same for runs that have a lease. */
  readonly leased: Float64Array

  constructor (seconds: number, now: () => number) {
    this.#bySecond = new Map(COUNTED.map((name) => [name, new Float64Array(seconds + 1)]))
    this.#now = now
    this.atOnce = new Float64Array(seconds + 1)
    this.leased = new Float64Array(seconds + 1)
  }

  count (name: Counted, times = 1): void {
    this.#bySecond.get(name)![this.#second()]! += times
  }

  /** Forgets what was counted until now. */
  clear (): void {
    for (const counts of this.#bySecond.values()) counts.fill(0)
  }

  noteAtOnce (running: number, leased: number): void {
    const second = this.#second()
    this.atOnce[second] = Math.max(this.atOnce[second]!, running)
    this.leased[second] = Math.max(this.leased[second]!, leased)
  }

  /** Returns how often something happened in these seconds. */
  sum (name: Counted, from: number, to: number): number {
    return this.#bySecond.get(name)!.subarray(from, to).reduce((sum, count) => sum + count, 0)
  }

  /** What happens after the last second is counted together. */
  #second (): number {
    return Math.min(Math.floor(this.#now() / 1_000), this.atOnce.length - 1)
  }
}
