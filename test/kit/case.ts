// What a conformance case is, and how one is made and run: what it opened is closed, what it broke is mended.
import assert from 'node:assert/strict'
import type { CacheBackend, Power } from '../../registry/backend.js'
import type { ConformanceSubject, Lever, SubjectWith } from './subject.js'
import { patiently } from './outcome.js'
import { Tracked } from './track.js'

/** One thing that every backend does. Any test runner can run it; assertions are those of node:assert. */
export interface ConformanceCase {
  /** A sentence about behaviour; unique among all lists. */
  readonly name: string
  /** The optional method that the case is about; absent when it is about the four that all backends have. */
  readonly power?: Power
  /** The levers that the case needs of the subject; absent when it needs none. */
  readonly levers?: readonly Lever[]
  /** The public bug whose mistake, made by a backend, the case finds: `owner/repository#number`. */
  readonly reference?: string
  /** Rejects when the backend behaves otherwise; answers 'skipped' when it lacks the power, or the subject a lever. */
  run (subject: ConformanceSubject): Promise<'passed' | 'skipped'>
}

/** A backend that is known to have a power. */
export type WithPower<P extends Power> = CacheBackend & Required<Pick<CacheBackend, P>>

type Body = (backend: CacheBackend, subject: ConformanceSubject) => Promise<void>

interface About {
  readonly power?: Power
  readonly levers?: readonly Lever[]
  readonly reference?: string
  /** What to do about it; stands behind the message of whatever fails. */
  readonly advice?: string
  /**
   * Fails the case when a promise rejects and nobody handles it. Any other case leaves that to those that watch, so that one such promise
   * is one failure.
   */
  readonly watchesRejections?: true
}

/** A case about the four required methods. */
export function always (name: string, body: Body, about: About = {}): ConformanceCase {
  const { advice, watchesRejections, ...told } = about
  return { name, ...told, run: async (subject) => await patiently(subject.patience ?? 1, () => run(subject, about, body)) }
}

/** A case about a power. */
export function withPower<P extends Power> (
  power: P, name: string, body: (backend: WithPower<P>, subject: ConformanceSubject) => Promise<void>, about: About = {}
): ConformanceCase {
  return always(`${power}: ${name}`, body as Body, { power, ...about })
}

/** A case that needs levers; about a power, where `about` names one. */
export function withLevers<L extends Lever, P extends Power = never> (
  levers: readonly L[], name: string, body: (backend: WithPower<P>, subject: SubjectWith<L>) => Promise<void>,
  about: About & { readonly power?: P } = {}
): ConformanceCase {
  return always(name, body as Body, { levers, ...about })
}

/**
 * Why `run` of this case is going to answer 'skipped': what the subject or the backend lacks. Undefined when it will be run.
 * `backend` is any that the subject opened.
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

/** Settles as the body does; behind the message of an assertion stands what to do. */
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
      `no promise may reject without anybody knowing; one did, with ${String(lost)}. Await it, return it, or catch it`)
    return 'passed'
  } finally {
    await tracked.end()
    await rejections()
  }
}

/** Notes promises that reject and that nobody handles; answers them once and stops. */
function watchRejections (): () => Promise<unknown[]> {
  const lost: unknown[] = []
  const note = (reason: unknown): void => { lost.push(reason) }
  process.on('unhandledRejection', note)
  return async () => {
    // They are told of when the queue of microtasks is empty.
    await new Promise(setImmediate)
    process.off('unhandledRejection', note)
    return lost
  }
}
