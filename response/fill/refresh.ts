// Refreshes: while a stale response is served, its route runs once more in the background, as a separate request.
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { setImmediate as turn } from 'node:timers/promises'
import type { FastifyInstance, FastifyRequest, InjectOptions } from 'fastify'
import { kArrival, type ArrivedRequest } from '../request/arrival.js'
import { Backoff } from '../../registry/backoff.js'
import type { MaybePromise } from '../../registry/backend.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import { BusyKeys } from '../store/busy-keys.js'
import type { Right } from '../store/response-to-store.js'
import { giveBackRight, type Attempt } from './turn.js'
import { CONDITION_FIELDS } from '../http/conditional.js'
import { noop } from '../../registry/maybe-promise.js'
import { safeError, type ThrottledLog } from '../observe/log.js'
import type { RefusalReason } from '../observe/reasons.js'

/** How long a refresh may take in total, including its hooks and body. */
const DEADLINE_MS = 30_000
/** Limit on concurrent refreshes. Beyond it, the stale response is still served, and a later request begins the refresh. */
const MAX_REFRESHES = 100

/** The property of a request that holds its refresh, if the request is a refresh. */
export const kRefresh = Symbol('fastify-response-cache.refresh')

/**
 * Request fields that a refresh does not repeat, because they concern only the connection or the original request: conditions, ranges,
 * request directives.
 */
const NOT_REPEATED: ReadonlySet<string> = new Set([
  ...CONDITION_FIELDS, 'cache-control', 'pragma', 'connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding',
  'content-length', 'upgrade', 'expect'
])

/** One refresh of a stale entry. */
export interface Refresh {
  /** The key of the stale entry. */
  readonly key: string
  /** Whether the connection of the client that received the stale response was encrypted. */
  readonly isEncrypted: boolean
  /** Returns the claim for the refresh, if it is one of this key. The caller settles it. */
  takeRight (key: string): Right | undefined
  /** Called when the fill of the refresh begins. */
  begin (): void
  /** Called when nothing is left to refresh: the entry is fresh again, or was deleted. */
  succeed (): void
  /** Called when the handler's response is not stored. */
  fail (reason: RefusalReason): void
}

/** A request that may be a refresh. Clients can't send a request that counts as one. */
export type PossibleRefresh = FastifyRequest['raw'] & { readonly [kRefresh]?: Refresh }

export class Refreshes {
  readonly #under = new Map<string, Promise<void>>()
  readonly #backoff: Backoff
  readonly #busy = new BusyKeys()
  readonly #log: ThrottledLog
  readonly #closing = new AbortController()

  constructor (now: () => number, log: ThrottledLog) {
    this.#backoff = new Backoff(now)
    this.#log = log
  }

  /**
   * Runs the route of `request` again, unless a refresh of this entry is running, also in another process, or has just failed. `claim`
   * claims the entry.
   */
  start (instance: FastifyInstance, request: ArrivedRequest, key: string, claim: () => MaybePromise<Attempt | undefined>): void {
    if (this.#closing.signal.aborted || this.#under.has(key) || this.#under.size >= MAX_REFRESHES) return
    if (this.#backoff.pauses(key) || this.#busy.has(key)) return
    this.#under.set(key, this.#claimed(instance, request, key, claim).catch(noop).finally(() => { this.#under.delete(key) }))
  }

  /** Aborts running refreshes and waits until they have ended. Never rejects. */
  async close (): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#under.values())
  }

  async #claimed (
    instance: FastifyInstance, request: ArrivedRequest, key: string, claim: () => MaybePromise<Attempt | undefined>
  ): Promise<void> {
    // Lets the stale response be sent first.
    await turn()
    const attempt = await claim()
    if (attempt === undefined) return await this.#run(instance, request, key)
    if (attempt === UNAVAILABLE || attempt === 'timeout') return this.#backoff.failed(key)
    // Another process has refreshed the entry already.
    if ('seen' in attempt) return
    if ('busyMs' in attempt) return this.#busy.note(key, attempt.busyMs)
    await this.#run(instance, request, key, attempt.right)
  }

  async #run (instance: FastifyInstance, request: ArrivedRequest, key: string, right?: Right): Promise<void> {
    let hasSucceeded = false
    let left = right
    // The reason why nothing was stored. It is undefined while the response may still be stored, which can take longer than the request
    // itself.
    let reason: RefusalReason | 'not-asked' | undefined = 'not-asked'
    const refresh: Refresh = {
      key,
      isEncrypted: (request.raw.socket as { encrypted?: boolean }).encrypted === true,
      takeRight: (wanted) => {
        const taken = (left?.variant ?? left?.own)?.key === wanted ? left : undefined
        if (taken !== undefined) left = undefined
        return taken
      },
      begin: () => { reason = undefined },
      succeed: () => {
        hasSucceeded = true
        this.#backoff.succeeded(key)
      },
      fail: (why) => { reason = why }
    }
    const again = { ...repeated(request), Request: marked(refresh) }
    const outcome = await this.#send(instance, again, key)
    giveBackRight(left)
    if (hasSucceeded) return
    this.#backoff.failed(key)
    if (outcome !== undefined && reason !== undefined) {
      this.#log.warn('refresh-failed', { key, reason, ...outcome },
        'cache: a refresh produced nothing to store, the stale response is served meanwhile')
    }
  }

  /**
   * Sends the request. Returns the status of its response, or an error if there was no response, or undefined if the request was aborted.
   * Never rejects.
   */
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

/** Returns the class that the injected request inherits from. The class marks the request with a symbol, which clients can't set. */
function marked (refresh: Refresh): typeof Readable {
  return class extends Readable {
    get [kRefresh] (): Refresh { return refresh }

    /**
     * Called before any hook sees the request. An injected request has no connection, so this method marks it as encrypted if the client's
     * connection was.
     */
    override once (...listening: Parameters<Readable['once']>): this {
      if (refresh.isEncrypted) Object.assign((this as unknown as { socket: object }).socket, { encrypted: true })
      return super.once(...listening)
    }
  }
}

/** Returns the request as it arrived, before hooks changed it, without the fields that concern only the original request. */
function repeated ({ raw, [kArrival]: { rawHeaders, host, originalTarget } }: ArrivedRequest): InjectOptions {
  const lines: Record<string, string[]> = Object.create(null)
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase()
    ;(lines[name] ??= []).push(rawHeaders[at + 1] as string)
  }
  // In HTTP/2, the raw header fields include pseudo-header fields, which must not be repeated.
  const repeatedLines = Object.entries(lines).filter(([name]) => !name.startsWith(':') && !NOT_REPEATED.has(name))
  // light-my-request adds a User-Agent, unless it is set to undefined.
  const headers = { 'user-agent': undefined, host: lines[':authority'] ?? [host], ...Object.fromEntries(repeatedLines) }
  return { method: 'GET', url: originalTarget, headers: headers as {}, remoteAddress: raw.socket.remoteAddress ?? '127.0.0.1' }
}
