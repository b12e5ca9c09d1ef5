// What happened in one played plan, in the order in which it happened: requests, runs of handlers, changes of the data.
import type { FastifyRequest } from 'fastify'
import { Barrier } from '../support/barrier.js'
import { testClock } from '../support/clock.js'
import type { Received } from './http1.js'
import type { Asked, Plan } from './plan.js'
import { hostOf, identityOf, routeOf, type FuzzRoute } from './routes.js'

/** A request that a client sent. */
export interface Sent {
  readonly id: string
  readonly asked: Asked
  readonly route: FuzzRoute
  readonly target: string
  /** The host that counts. */
  readonly host: string
  readonly identity: string
  readonly sentSeq: number
  readonly sentAt: number
  /** Entity tags as they were sent. */
  readonly tags: { readonly [name in 'ifNoneMatch' | 'ifMatch' | 'ifRange']?: string }
  /** Whether its first hook has run. */
  arrived: boolean
  /** Whether its client left before the end. */
  left: boolean
  /** Whether its response has come, or nothing comes any more. */
  isOver: boolean
  given?: Received
  /** The field `x-run` as `onResponse` hooks saw it. */
  seenAfter?: string | undefined
  /** What it changes, as its handler ran. */
  change?: Change
}

/** A run of a handler. */
export interface Run {
  readonly id: string
  readonly sent: Sent
  readonly isRefresh: boolean
  readonly version: number
  readonly startedSeq: number
  readonly startedAt: number
  status: number
  /** What a client is to be given; undefined where Fastify makes it. */
  bytes: Buffer | undefined
  etag: string
  /** Infinity: it is still running. */
  finishedSeq: number
  finishedAt: number
  /** Nobody but its own client may be given it. */
  isUnshared: boolean
  /** It breaks off. */
  isBroken: boolean
}

/** The data behind some requests changes. */
export interface Change {
  readonly version: number
  readonly beganSeq: number
  readonly covers: (sent: Sent) => boolean
  readonly soft: boolean
  /** When everybody was told; Infinity: not yet. */
  ackedSeq: number
  ackedAt: number
}

export class World {
  readonly plan: Plan
  readonly clock = testClock()
  readonly sent = new Map<string, Sent>()
  readonly runs = new Map<string, Run>()
  readonly changes: Change[] = []
  /** Which run an entity tag was first seen of. */
  readonly tags = new Map<string, Run>()
  /** Where handlers are held, by the request that has them held. */
  readonly gates = new Map<string, Barrier>()
  /** Streams that handlers made. */
  readonly streams = new Map<{ readonly destroyed: boolean }, Run>()
  /** What went wrong: a rule, a colon, and how. */
  readonly wrong: string[] = []
  readonly #without: ReadonlySet<string>
  #seq = 0

  constructor (plan: Plan, without: ReadonlySet<string>) {
    this.plan = plan
    this.#without = without
  }

  tick (): number { return ++this.#seq }

  fault (rule: string, how: string): void {
    if (!this.#without.has(rule)) this.wrong.push(`${rule}: ${how}`)
  }

  send (asked: Asked): Sent {
    const { trustsProxy } = this.plan
    const route = routeOf(asked)
    const last = [...this.tags].filter(([, { sent }]) => sent.asked.route === asked.route && sent.asked.id === asked.id).at(-1)?.[0]
    const tag = (name: keyof Sent['tags']): Sent['tags'] =>
      asked[name] === undefined ? {} : { [name]: asked[name] === 'last' && last !== undefined ? last : '"other"' }
    const sent: Sent = {
      id: `q${this.sent.size + 1}`,
      asked,
      route,
      target: route.target(asked),
      host: hostOf(asked, trustsProxy),
      identity: identityOf(asked, trustsProxy),
      sentSeq: this.tick(),
      sentAt: this.clock.now(),
      tags: { ...tag('ifNoneMatch'), ...tag('ifMatch'), ...tag('ifRange') },
      arrived: false,
      left: false,
      isOver: false
    }
    this.sent.set(sent.id, sent)
    if (asked.held !== undefined) this.gates.set(sent.id, new Barrier())
    return sent
  }

  /** What the client sent that this request comes from; a refresh comes from what the client sent that found the entry stale. */
  sentFor ({ raw: { rawHeaders } }: FastifyRequest): Sent | undefined {
    const at = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'x-sent')
    return this.sent.get(rawHeaders[at + 1] ?? '')
  }

  begin (sent: Sent, isRefresh: boolean): Run {
    const run: Run = {
      id: `r${this.runs.size + 1}`,
      sent,
      isRefresh,
      version: this.versionOf(sent),
      startedSeq: this.tick(),
      startedAt: this.clock.now(),
      status: 200,
      bytes: undefined,
      etag: '',
      finishedSeq: Infinity,
      finishedAt: Infinity,
      isUnshared: false,
      isBroken: false
    }
    this.runs.set(run.id, run)
    return run
  }

  finish (run: Run): void {
    if (run.finishedSeq !== Infinity) return
    run.finishedSeq = this.tick()
    run.finishedAt = this.clock.now()
  }

  /** The version of what a handler reads that starts now. */
  versionOf (sent: Sent): number {
    return Math.max(0, ...this.changes.filter(({ covers }) => covers(sent)).map(({ version }) => version))
  }

  change (covers: Change['covers'], soft = false): Change {
    const change: Change = { version: this.changes.length + 1, beganSeq: this.tick(), covers, soft, ackedSeq: Infinity, ackedAt: Infinity }
    this.changes.push(change)
    return change
  }

  acknowledge (change: Change): void {
    change.ackedSeq = this.tick()
    change.ackedAt = this.clock.now()
  }

  /** Handlers that are held at the moment, by the requests that had them held. */
  get held (): Barrier[] {
    return [...this.gates.values()].filter(({ waiting }) => waiting > 0)
  }

  /** Whether a handler runs that nobody holds. */
  get isBusy (): boolean {
    return [...this.runs.values()].filter(({ finishedSeq }) => finishedSeq === Infinity).length > this.held.reduce((sum, { waiting }) =>
      sum + waiting, 0)
  }
}
