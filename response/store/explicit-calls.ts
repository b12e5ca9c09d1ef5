// A call that somebody made on purpose and waits for: its deadline is on silence, not on a long walk that says that it goes on.
import { Deadline, LATE, within } from '../../registry/deadline.js'

/** How long nothing may be heard of such a call (`cache.set`, `invalidate`, `clear`, ...). */
export const EXPLICIT_CALL_DEADLINE_MS = 2_000

/** Whether such a call failed since the backend has no room, as it says itself: what is there can be deleted all the same. */
export function isForWantOfRoom (err: unknown): boolean {
  return ((err as Error | undefined)?.cause as { isFull?: unknown } | undefined)?.isFull === true
}

/** What is heard of one. */
export class Progress {
  readonly silence = new Deadline(EXPLICIT_CALL_DEADLINE_MS)
  #forgotten = 0

  /** For the backend: it has taken a step, which forgot so many entries. */
  readonly onProgress = (forgotten: number): void => {
    if (forgotten > 0) this.#forgotten += forgotten
    this.silence.restart()
  }

  toString (): string {
    return this.#forgotten === 0 ? '' : `, after ${this.#forgotten} entries were deleted`
  }
}

/** What `done` brings. Rejects when nothing is heard of it for too long, and says how far it had come. */
export async function inTime<T> (done: Promise<T>, progress = new Progress()): Promise<T> {
  const answer = await within(progress.silence, done)
  if (answer === LATE) throw new Error(`no response within ${EXPLICIT_CALL_DEADLINE_MS} ms${String(progress)}`)
  return answer
}
