// Explicit calls, for which the application waits. Their deadline limits the time without progress, not the time that they take in total.
import { Deadline, LATE, within } from '../../registry/deadline.js'

/** How long an explicit call (`cache.set`, `invalidate`, `clear`, ...) may go without progress. */
export const EXPLICIT_CALL_DEADLINE_MS = 2_000

/** Returns whether an explicit call failed because the backend reported that its store is full. Deletions are possible even then. */
export function isForWantOfRoom (err: unknown): boolean {
  return ((err as Error | undefined)?.cause as { isFull?: unknown } | undefined)?.isFull === true
}

/** The progress of one explicit call. */
export class Progress {
  readonly silence = new Deadline(EXPLICIT_CALL_DEADLINE_MS)
  #deleted = 0

  /** Passed to the backend, which calls it after each step, with the number of entries that the step deleted. */
  readonly onProgress = (deleted: number): void => {
    if (deleted > 0) this.#deleted += deleted
    this.silence.restart()
  }

  toString (): string {
    return this.#deleted === 0 ? '' : `, after ${this.#deleted} entries were deleted`
  }
}

/** Returns the result of `done`. If there is no progress for too long, rejects with an error that says how many entries were deleted. */
export async function inTime<T> (done: Promise<T>, progress = new Progress()): Promise<T> {
  const result = await within(progress.silence, done)
  if (result === LATE) throw new Error(`no response within ${EXPLICIT_CALL_DEADLINE_MS} ms${String(progress)}`)
  return result
}
