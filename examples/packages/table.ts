// The demonstration's table: one row for each request.

/** A request and its response. */
export interface Exchange {
  readonly method: string
  readonly path: string
  readonly code: number
  readonly outcome: 'HIT' | 'STALE' | 'MISS' | 'NO CACHE'
  readonly ms: number
  /** The value of Cache-Status. */
  readonly status: string
  readonly body: string
}

const line = (route: string, outcome: string, ms: string, code: string, status: string): string =>
  `   ${route.padEnd(30)}${code.padEnd(8)}${outcome.padEnd(9)}${ms.padStart(9)}   ${status}`

/** The underlined names of the columns. */
export function heading (): string {
  const names = line('route', 'cache', 'ms', 'status', 'Cache-Status')
  return `${names}\n   ${'-'.repeat(names.length + 30)}`
}

/** One row. */
export function row ({ method, path, code, outcome, ms, status }: Exchange): string {
  return line(`${method} ${path}`, outcome, ms.toFixed(1), String(code), status)
}
