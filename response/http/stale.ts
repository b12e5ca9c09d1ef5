// When an entry that is not fresh may be served all the same (RFC 9111 section 4.2.4, RFC 5861).
import type { ResponseHead } from '../store/entry.js'
import { satisfies, type Wishes } from './wishes.js'

/** Whether a fresh entry is what the client asks for. `at`: the present, in epoch milliseconds. */
export function servedFresh ({ ageMs, storedAt, freshUntil }: ResponseHead, at: number, wishes: Wishes | undefined): boolean {
  return wishes === undefined || satisfies(wishes, ageMs + at - storedAt, freshUntil - at)
}

/** Why a stale entry is served: a refresh is to run, or the client said that it will do; undefined where it is not. `at`: the present, in epoch milliseconds. */
export function servedStale (head: ResponseHead, at: number, wishes: Wishes | undefined): 'while-revalidate' | 'max-stale' | undefined {
  if (head.mustRevalidate === true) return undefined
  const ageMs = head.ageMs + at - head.storedAt
  const isInWindow = head.staleUntil !== undefined && at < head.staleUntil
  // A client that says how old or how fresh it wants it is not given less for the sake of a window.
  if (isInWindow && (wishes === undefined || satisfies({ ...wishes, maxStaleMs: Infinity }, ageMs, head.freshUntil - at, true))) return 'while-revalidate'
  return wishes !== undefined && satisfies(wishes, ageMs, head.freshUntil - at, true) ? 'max-stale' : undefined
}
