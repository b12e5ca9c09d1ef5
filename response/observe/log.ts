// Throttles the log: logs at most one line of each kind in ten seconds, with the number of lines that were left out.
import type { CacheLog } from '../../registry/registry.js'

const QUIET_MS = 10_000
const KINDS_REMEMBERED = 256
const LONGEST_MESSAGE_CHARACTERS = 200

interface Kind { quietUntil: number, suppressed: number }

export class ThrottledLog {
  readonly #kinds = new Map<string, Kind>()
  readonly #log: CacheLog
  readonly #now: () => number

  constructor (log: CacheLog, now: () => number) {
    this.#log = log
    this.#now = now
  }

  /** Logs a warning, unless one of the same kind was logged in the last ten seconds. */
  warn (kind: string, details: object, message: string): void {
    const at = this.#now()
    const known = this.#kinds.get(kind)
    if (known !== undefined && at < known.quietUntil) {
      known.suppressed++
      return
    }
    if (this.#kinds.size >= KINDS_REMEMBERED) this.#kinds.clear()
    this.#kinds.set(kind, { quietUntil: at + QUIET_MS, suppressed: 0 })
    this.#log.warn(known === undefined || known.suppressed === 0 ? details : { ...details, suppressed: known.suppressed }, message)
  }
}

/** Returns the parts of an error that are safe to log. Drivers put whole commands, with bodies and passwords, into their errors. */
export function safeError (err: unknown): { type: string, code: unknown, message: string } {
  const { name, code, message } = err instanceof Error
    ? err as Error & { code?: unknown }
    : { name: typeof err, code: undefined, message: 'something that is not an Error was thrown' }
  return { type: name, code, message: message.split('\n', 1)[0]!.replace(/\/\/[^/\s]*@/g, '//***@').slice(0, LONGEST_MESSAGE_CHARACTERS) }
}

/** Returns the parts of an error that are safe to log, as an Error that can be another error's cause. Loggers print causes with stacks. */
export function safeCause (err: unknown): Error {
  const { type, code, message } = safeError(err)
  const { isFull } = (err ?? {}) as { isFull?: unknown }
  return Object.assign(new Error(message), { name: type, ...(code !== undefined && { code }), ...(isFull === true && { isFull }) })
}
