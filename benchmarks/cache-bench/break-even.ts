// From what hits and misses cost to the one thing that decides: how slow must a handler be?

/** What a request costs, in microseconds, by what became of it. */
export interface Costs {
  /** A route without a cache whose handler sends bytes that lie ready. */
  readonly floorUs: number
  readonly hitUs: number
  /** The same handler behind the cache, its answer stored. */
  readonly missUs: number
}

/**
 * Microseconds that a handler must take beyond sending what lies ready, for the cache to be worth it.
 * Of 1 request, h are hits: h * (hit - floor) + (1 - h) * (miss - floor) is added, h * handler is saved.
 */
export function breakEvenUs ({ floorUs, hitUs, missUs }: Costs, hitRatio: number): number {
  const added = hitRatio * (hitUs - floorUs) + (1 - hitRatio) * (missUs - floorUs)
  return Math.max(0, added / hitRatio)
}

/** The sentence that says so. */
export function breakEvenSentence (
  name: string, { cpuUs, latencyUs }: { readonly cpuUs: number, readonly latencyUs: number }, hitRatio: number
): string {
  const cpu = cpuUs === 0 ? 'always saves processor time' : `saves processor time where the handler uses more than ${micros(cpuUs)} of it`
  const latency = latencyUs === 0 ? 'always answers sooner' : `answers sooner where the handler takes longer than ${micros(latencyUs)}`
  return `${name}: with ${percent(hitRatio)} of the requests answered from it, caching ${cpu}, and ${latency}.`
}

function percent (ratio: number): string {
  return `${Number((ratio * 100).toPrecision(3))} %`
}

export function micros (us: number): string {
  if (us >= 999_500) return `${Number((us / 1e6).toPrecision(3))} s`
  return us >= 999.5 ? `${Number((us / 1e3).toPrecision(3))} ms` : `${Number(us.toPrecision(us < 10 ? 2 : 3))} us`
}
