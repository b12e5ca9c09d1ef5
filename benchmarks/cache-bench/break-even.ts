// Calculates the break-even from the costs of hits and misses: how slow must a handler be for caching to pay?

/** The cost of a request to each route, in microseconds. */
export interface Costs {
  /** The cost of a route without a cache, whose handler sends a prebuilt Buffer. */
  readonly floorUs: number
  readonly hitUs: number
  /** The cost of a miss: the same handler runs behind the cache, and its response is stored. */
  readonly missUs: number
}

/**
 * Returns how many microseconds a handler must take, in addition to sending a prebuilt Buffer, for caching to pay.
 * With the hit ratio h, a request costs h * (hit - floor) + (1 - h) * (miss - floor) more, and saves h * handler.
 */
export function breakEvenUs ({ floorUs, hitUs, missUs }: Costs, hitRatio: number): number {
  const added = hitRatio * (hitUs - floorUs) + (1 - hitRatio) * (missUs - floorUs)
  return Math.max(0, added / hitRatio)
}

/** Returns a sentence that states the break-even. */
export function breakEvenSentence (
  name: string, { cpuUs, latencyUs }: { readonly cpuUs: number, readonly latencyUs: number }, hitRatio: number
): string {
  const cpu = cpuUs === 0 ? 'always saves CPU time' : `saves CPU time if the handler uses more than ${micros(cpuUs)} of it`
  const latency = latencyUs === 0 ? 'always responds sooner' : `responds sooner if the handler takes longer than ${micros(latencyUs)}`
  return `${name}: with ${percent(hitRatio)} hits, caching ${cpu}, and ${latency}.`
}

function percent (ratio: number): string {
  return `${Number((ratio * 100).toPrecision(3))} %`
}

export function micros (us: number): string {
  if (us >= 999_500) return `${Number((us / 1e6).toPrecision(3))} s`
  return us >= 999.5 ? `${Number((us / 1e3).toPrecision(3))} ms` : `${Number(us.toPrecision(us < 10 ? 2 : 3))} us`
}
