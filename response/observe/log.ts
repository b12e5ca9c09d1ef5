// Throttles the log: logs at most one line of each kind in ten seconds, with the number of lines that were left out.
import type { CacheLog } from '../../registry/registry.js'

const QUIET_MS = 10_000
const KINDS_REMEMBERED = 256
const LONGEST_MESSAGE_CHARACTERS = 200
const MAX_CAUSES = 3
const FRAME = /^ {4}at /

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

/**
 * Returns an error that is safe to log: with the name, the code, the beginning of the message, the stack and the causes of `err`. Drivers
 * put whole commands, with bodies and passwords, into their errors.
 */
export function safeError (err: unknown, depth = 0): Error & { readonly code?: unknown } {
  if (!(err instanceof Error)) return new TypeError(`something that is not an Error was thrown: a value of type ${typeof err}`)
  const { name, code, isFull, cause, stack } = err as Error & { code?: unknown, isFull?: unknown }
  const message = err.message.split('\n', 1)[0]!.replace(/\/\/[^/\s]*@/g, '//***@').slice(0, LONGEST_MESSAGE_CHARACTERS)
  const safe = Object.assign(new Error(message, cause === undefined || depth >= MAX_CAUSES ? {} : { cause: safeError(cause, depth + 1) }), {
    name, ...(code !== undefined && { code }), ...(isFull === true && { isFull })
  })
  // The frames behind the message name only functions and files.
  const behind = String(stack).indexOf(err.message) + err.message.length
  const frames = String(stack).slice(behind).split('\n').filter((line) => FRAME.test(line))
  return Object.defineProperty(safe, 'stack', { value: [`${name}: ${message}`, ...frames].join('\n'), configurable: true, writable: true })
}
