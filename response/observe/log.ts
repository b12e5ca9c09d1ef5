// Log lines that don't flood: one of a kind within ten seconds, with the number of those that were left out.
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

  /** Warns, unless one of the same kind was said a moment ago. */
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

/** An error as it may stand in a log: drivers put commands, with bodies and passwords, into theirs. */
export function safeError (err: unknown): { type: string, code: unknown, message: string } {
  const { name, code, message } = err instanceof Error
    ? err as Error & { code?: unknown }
    : { name: typeof err, code: undefined, message: 'something that is not an Error was thrown' }
  return { type: name, code, message: message.split('\n', 1)[0]!.replace(/\/\/[^/\s]*@/g, '//***@').slice(0, LONGEST_MESSAGE_CHARACTERS) }
}

/** The same as an Error, to be the cause of another one: whoever logs that one logs its cause, stack and all. */
export function safeCause (err: unknown): Error {
  const { type, code, message } = safeError(err)
  const { isFull } = (err ?? {}) as { isFull?: unknown }
  return Object.assign(new Error(message), { name: type, ...(code !== undefined && { code }), ...(isFull === true && { isFull }) })
}
