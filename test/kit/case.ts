// Creates and runs conformance cases. After a case, every backend that it opened is closed, and every fault that it began is ended.
import assert from 'node:assert/strict'
import type { CacheBackend, Power } from '../../registry/backend.js'
import type { ConformanceSubject, Lever, SubjectWith } from './subject.js'
import { patiently } from './outcome.js'
import { Tracked } from './track.js'

/** A test of one behaviour that every backend must have. Any test runner can run it; its assertions are those of node:assert. */
export interface ConformanceCase {
  /** A sentence about behaviour. No other case of any list has the same name. */
  readonly name: string
  /** The optional method that the case tests. Absent if the case tests the four required methods. */
  readonly power?: Power
  /** The levers that the subject must have for this case. Absent if the case needs none. */
  readonly levers?: readonly Lever[]
  /** A public bug of another cache, as `owner/repository#number`. The case finds out whether a backend has the same bug. */
  readonly reference?: string
  /**
   * Rejects if the backend does not behave as `name` says. Resolves to 'skipped' if the backend lacks the power, or the subject a lever.
   */
  run (subject: ConformanceSubject): Promise<'passed' | 'skipped'>
}

/** A backend that has this power. */
export type WithPower<P extends Power> = CacheBackend & Required<Pick<CacheBackend, P>>

type Body = (backend: CacheBackend, subject: ConformanceSubject) => Promise<void>

/** What else a case may say about itself. */
export interface About {
  readonly power?: Power
  readonly levers?: readonly Lever[]
  readonly reference?: string
  /** Advice on how to fix a failure. It is appended to the failure's message. */
  readonly advice?: string
  /**
   * If true, the case fails if a rejection is left unhandled. Other cases ignore unhandled rejections, so that a backend that causes one
   * doesn't fail all of them.
   */
  readonly watchesRejections?: true
}

/** Creates a case that tests the four required methods. */
export function always (name: string, body: Body, about: About = {}): ConformanceCase {
  const { advice, watchesRejections, ...published } = about
  return { name, ...published, run: async (subject) => await patiently(subject.patience ?? 1, () => run(subject, about, body)) }
}

/** Creates a case that tests a power. */
export function withPower<P extends Power> (
  power: P, name: string, body: (backend: WithPower<P>, subject: ConformanceSubject) => Promise<void>, about: About = {}
): ConformanceCase {
  return always(`${power}: ${name}`, body as Body, { power, ...about })
}

/** Creates a case that needs levers. It tests a power if `about` names one. */
export function withLevers<L extends Lever, P extends Power = never> (
  levers: readonly L[], name: string, body: (backend: WithPower<P>, subject: SubjectWith<L>) => Promise<void>,
  about: About & { readonly power?: P } = {}
): ConformanceCase {
  return always(name, body as Body, { levers, ...about })
}

/**
 * Returns why this case will be skipped, that is, what the subject or the backend lacks. Returns undefined if the case will run.
 * `backend` may be any backend that the subject has opened.
 */
export function skipReason (
  { power, levers = [] }: Pick<ConformanceCase, 'power' | 'levers'>, subject: ConformanceSubject, backend: CacheBackend
): string | undefined {
  const missing = missingLevers(levers, subject)
  if (missing.length > 0) return `the subject has no ${missing.join(', no ')}`
  return isPowerMissing(power, backend) ? `the backend has no method ${power}` : undefined
}

function missingLevers (levers: readonly Lever[] = [], subject: ConformanceSubject): Lever[] {
  return levers.filter((lever) => subject[lever] === undefined)
}

function isPowerMissing (power: Power | undefined, backend: CacheBackend): boolean {
  return power !== undefined && typeof backend[power] !== 'function'
}

/** Waits for `body`, and settles as it does. If an assertion failed, appends the advice to its message. */
async function advised (advice: string | undefined, body: Promise<void>): Promise<void> {
  try {
    await body
  } catch (error) {
    if (advice !== undefined && error instanceof assert.AssertionError) error.message += `. ${advice}`
    throw error
  }
}

async function run (given: ConformanceSubject, about: About, body: Body): Promise<'passed' | 'skipped'> {
  if (missingLevers(about.levers, given).length > 0) return 'skipped'
  const tracked = new Tracked(given)
  const { subject } = tracked
  const rejections = watchRejections()
  try {
    const backend = await subject.open()
    if (isPowerMissing(about.power, backend)) return 'skipped'
    await advised(about.advice, body(backend, subject))
    await tracked.end()
    const [lost] = await rejections()
    assert.ok(about.watchesRejections === undefined || lost === undefined,
      `no promise rejection may be left unhandled; one was, with ${String(lost)}. Await it, return it, or catch it`)
    return 'passed'
  } finally {
    await tracked.end()
    await rejections()
  }
}

/** Collects unhandled rejections. Returns a function that stops collecting and returns the rejections that were collected. */
function watchRejections (): () => Promise<unknown[]> {
  const lost: unknown[] = []
  const note = (reason: unknown): void => { lost.push(reason) }
  process.on('unhandledRejection', note)
  return async () => {
    // Node reports unhandled rejections once the microtask queue is empty.
    await new Promise(setImmediate)
    process.off('unhandledRejection', note)
    return lost
  }
}
