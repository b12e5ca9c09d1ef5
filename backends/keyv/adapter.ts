// Calls an adapter of Keyv 5 directly. Also catches errors that the adapter only emits as events, so that no failure looks like a miss.
import { setTimeout as after } from 'node:timers'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'
import type { KeyvAdapter } from './options.js'

/** A Keyv adapter, with other members that some adapters have. */
interface Adapter extends KeyvAdapter {
  namespace?: string | undefined
  readonly ttlSupport?: boolean
  readonly opts?: { readonly dialect?: unknown }
  iterator? (namespace?: string): AsyncIterator<[key: string, value: unknown]>
  entries? (): Iterable<[key: string, value: unknown]>
  disconnect? (force?: boolean): Promise<unknown> | unknown
  on? (event: string, listener: (error: unknown) => void): unknown
  off? (event: string, listener: (error: unknown) => void): unknown
}

type Operation = 'get' | 'set' | 'delete'

// How long `close` waits for the adapter to disconnect, because a database may hang.
const DISCONNECT_TIMEOUT_MS = 500

/** One adapter, which was handed over or is caller-owned. */
export class AskedAdapter {
  /** The adapter's namespace. A Keyv that uses the adapter may have set it. */
  readonly namespace: string | undefined
  readonly removesExpired: boolean
  /** Lists the adapter's keys and values. Absent if the adapter can't list them. */
  readonly list: (() => AsyncIterator<[key: string, value: unknown]>) | undefined
  readonly #adapter: Adapter
  readonly #isOurs: boolean
  #errors = 0
  #lastError: unknown
  #underWay = 0
  #closed = false

  constructor (adapter: KeyvAdapter, { isOurs, namespace }: { isOurs: boolean, namespace: string }) {
    this.#adapter = adapter
    this.#isOurs = isOurs
    // An adapter that was handed over gets a namespace, so that it lists only our keys.
    if (isOurs && this.#adapter.namespace === undefined) this.#adapter.namespace = namespace
    this.namespace = this.#adapter.namespace
    this.removesExpired = this.#adapter.ttlSupport === true || ['redis', 'valkey'].includes(String(this.#adapter.opts?.dialect))
    this.list = listOf(this.#adapter, this.namespace)
    // If an adapter emits an error and there is no listener, the error ends the process.
    this.#adapter.on?.('error', this.#onError)
  }

  get (key: string): Promise<unknown> {
    return this.#ask('get', () => this.#adapter.get(key), (result) => result !== undefined && result !== null)
  }

  set (key: string, value: unknown, ttlMs: number): Promise<unknown> {
    return this.#ask('set', () => this.#adapter.set(key, value, ttlMs), (result) => result === true)
  }

  delete (key: string): Promise<unknown> {
    return this.#ask('delete', () => this.#adapter.delete(key), (result) => result === true)
  }

  /** Disconnects an adapter that was handed over. Removes the listener from a caller-owned one once its calls have ended. */
  async close (): Promise<void> {
    this.#closed = true
    this.#unlisten()
    if (!this.#isOurs || typeof this.#adapter.disconnect !== 'function') return
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => { timer = after(() => resolve('late'), DISCONNECT_TIMEOUT_MS) })
    const left = (async () => await this.#adapter.disconnect?.())()
    left.catch(() => {})
    try {
      // The argument `true` forces some adapters to disconnect. Others ignore it.
      if (await Promise.race([left, late]) === 'late') (async () => await this.#adapter.disconnect?.(true))().catch(() => {})
    } finally {
      clearTimeout(timer)
    }
  }

  /** Returns the result of `call`. If the adapter emitted an error meanwhile, throws that error, unless `isSure` accepts the result. */
  async #ask (operation: Operation, call: () => unknown, isSure: (result: unknown) => boolean): Promise<unknown> {
    // The backend may have been closed while a Keyv was serialising the value.
    if (this.#closed) throw new CACHE_ERR_CLOSED(`keyv.${operation}`)
    const errorsBefore = this.#errors
    this.#underWay++
    try {
      const result = await call()
      if (operation === 'set' && result === false) throw new CACHE_ERR_BACKEND_FAILED('keyv', 'set', 'the adapter did not store it')
      if (this.#errors !== errorsBefore && !isSure(result)) throw this.#lastError
      return result
    } finally {
      this.#underWay--
      this.#unlisten()
    }
  }

  readonly #onError = (error: unknown): void => {
    this.#errors++
    this.#lastError = error instanceof Error ? error : new CACHE_ERR_BACKEND_FAILED('keyv', 'a call', String(error))
  }

  #unlisten (): void {
    // If the adapter was handed over, the listener is not removed, because the adapter may emit errors until it is disconnected.
    if (this.#closed && !this.#isOurs && this.#underWay === 0) this.#adapter.off?.('error', this.#onError)
  }
}

function listOf (adapter: Adapter, namespace: string | undefined): AskedAdapter['list'] {
  if (typeof adapter.iterator === 'function') return () => adapter.iterator!(namespace)
  if (!(adapter instanceof Map)) return undefined
  return async function * () { yield * [...adapter as Map<string, unknown>] }
}
