// One line of the demonstration's table for each question that was asked.

/** A question, and what came of it. */
export interface Asked {
  readonly method: string
  readonly path: string
  readonly code: number
  readonly outcome: 'HIT' | 'STALE' | 'MISS' | 'NO CACHE'
  readonly ms: number
  /** The Cache-Status field. */
  readonly status: string
  readonly body: string
}

const line = (asked: string, outcome: string, ms: string, code: string, status: string): string =>
  `   ${asked.padEnd(30)}${code.padEnd(8)}${outcome.padEnd(9)}${ms.padStart(9)}   ${status}`

/** The names of the columns, underlined. */
export function heading (): string {
  const names = line('route', 'cache', 'ms', 'status', 'Cache-Status')
  return `${names}\n   ${'-'.repeat(names.length + 30)}`
}

/** One row. */
export function row ({ method, path, code, outcome, ms, status }: Asked): string {
  return line(`${method} ${path}`, outcome, ms.toFixed(1), String(code), status)
}
