// Refreshes: while a stale response is served, its route runs once more in the background, as a request of its own.
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { setImmediate as turn } from 'node:timers/promises'
import type { FastifyInstance, FastifyRequest, InjectOptions } from 'fastify'
import { kArrival, type ArrivedRequest } from '../request/arrival.js'
import { Backoff } from '../../registry/backoff.js'
import { CONDITION_FIELDS } from '../http/conditional.js'
import { noop } from '../../registry/maybe-promise.js'
import { safeError, type ThrottledLog } from '../observe/log.js'
import type { RefusalReason } from '../observe/reasons.js'

/** How long one may take in all, hooks and body among it. */
const DEADLINE_MS = 30_000
/** So many at once at most; a stale response is served all the same, and the next request begins the refresh. */
const MAX_REFRESHES = 100

/** Under which a request that is a refresh has it. */
export const kRefresh = Symbol('fastify-response-cache.refresh')

/** What is about the connection, or about this one request: conditions, parts, wishes of caches. */
const NOT_REPEATED: ReadonlySet<string> = new Set([
  ...CONDITION_FIELDS, 'cache-control', 'pragma', 'connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding',
  'content-length', 'upgrade', 'expect'
])

/** One refresh. */
export interface Refresh {
  /** The key of the entry that is stale. */
  readonly key: string
  /** Whether the client's connection was encrypted. */
  readonly isEncrypted: boolean
  /** Its handler is asked. */
  begin (): void
  /** There is a fresh response. */
  succeed (): void
  /** The handler's response is not stored. */
  fail (reason: RefusalReason): void
}

/** A request, which is a refresh or isn't. One that came from outside can't make itself one. */
export type PossibleRefresh = FastifyRequest['raw'] & { readonly [kRefresh]?: Refresh }

export class Refreshes {
  readonly #under = new Map<string, Promise<void>>()
  readonly #backoff: Backoff
  readonly #log: ThrottledLog
  readonly #closing = new AbortController()

  constructor (now: () => number, log: ThrottledLog) {
    this.#backoff = new Backoff(now)
    this.#log = log
  }

  /** Runs the route of `request` again, unless it is running for this entry already, or has failed a moment ago. */
  start (instance: FastifyInstance, request: ArrivedRequest, key: string): void {
    if (this.#closing.signal.aborted || this.#under.has(key) || this.#under.size >= MAX_REFRESHES || this.#backoff.pauses(key)) return
    this.#under.set(key, this.#run(instance, request, key).catch(noop).finally(() => { this.#under.delete(key) }))
  }

  /** Ends what is under way. Never rejects. */
  async close (): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#under.values())
  }

  async #run (instance: FastifyInstance, request: ArrivedRequest, key: string): Promise<void> {
    let hasSucceeded = false
    // Undefined while it may yet be stored: a network takes its time.
    let reason: RefusalReason | 'not-asked' | undefined = 'not-asked'
    const refresh: Refresh = {
      key,
      isEncrypted: (request.raw.socket as { encrypted?: boolean }).encrypted === true,
      begin: () => { reason = undefined },
      succeed: () => {
        hasSucceeded = true
        this.#backoff.succeeded(key)
      },
      fail: (why) => { reason = why }
    }
    const again = { ...repeated(request), Request: marked(refresh) }
    // The stale response goes out first.
    await turn()
    const outcome = await this.#send(instance, again, key)
    if (hasSucceeded) return
    this.#backoff.failed(key)
    if (outcome !== undefined && reason !== undefined) {
      this.#log.warn('refresh-failed', { key, reason, ...outcome },
        'cache: a refresh produced nothing to store, the stale response is served meanwhile')
    }
  }

  /** Returns the status that it got, or why it got none; undefined where it was ended. Never rejects. */
  async #send (
    instance: FastifyInstance, again: InjectOptions, key: string
  ): Promise<{ readonly statusCode: number } | { readonly err: object } | undefined> {
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(), DEADLINE_MS).unref()
    const signal = AbortSignal.any([this.#closing.signal, deadline.signal])
    try {
      const response = await instance.inject({ ...again, signal, payloadAsStream: true } as unknown as InjectOptions)
      await finished(response.stream().resume())
      return { statusCode: response.statusCode }
    } catch (err) {
      if (deadline.signal.aborted) {
        this.#log.warn('refresh', { key, deadlineMs: DEADLINE_MS },
          'cache: a refresh timed out and was aborted, the stale response is served meanwhile')
      }
      return signal.aborted ? undefined : { err: safeError(err) }
    } finally {
      clearTimeout(timer)
    }
  }
}

/** The class that light-my-request makes the request of: by a symbol that nobody else has, the request is told from all others. */
function marked (refresh: Refresh): typeof Readable {
  return class extends Readable {
    get [kRefresh] (): Refresh { return refresh }

    /** Called before any hook is shown the request: it has no connection of its own, and tells of the client's. */
    override once (...listening: Parameters<Readable['once']>): this {
      if (refresh.isEncrypted) Object.assign((this as unknown as { socket: object }).socket, { encrypted: true })
      return super.once(...listening)
    }
  }
}

/** The request as it came, whatever hooks have made of it, but for what is about that one alone. */
function repeated ({ raw, [kArrival]: { rawHeaders, host, originalTarget } }: ArrivedRequest): InjectOptions {
  const lines: Record<string, string[]> = Object.create(null)
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase()
    ;(lines[name] ??= []).push(rawHeaders[at + 1] as string)
  }
  // HTTP/2 has its pseudo fields among them.
  const repeatedLines = Object.entries(lines).filter(([name]) => !name.startsWith(':') && !NOT_REPEATED.has(name))
  // An injected request without a User-Agent is given one, unless it is said to be undefined.
  const headers = { 'user-agent': undefined, host: lines[':authority'] ?? [host], ...Object.fromEntries(repeatedLines) }
  return { method: 'GET', url: originalTarget, headers: headers as {}, remoteAddress: raw.socket.remoteAddress ?? '127.0.0.1' }
}
