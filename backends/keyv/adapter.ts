// An adapter of Keyv 5 asked directly: what it says in an event and not in its answer is heard, so that no failure looks like a miss.
import { setTimeout as after } from 'node:timers'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'
import type { KeyvAdapter } from './options.js'

/** The rest of what adapters may have. */
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

// A database that hangs never says goodbye.
const GOODBYE_MS = 500

/** One adapter, ours or lent. */
export class AskedAdapter {
  /** The names in an adapter that a Keyv is in front of, and those that adapters give themselves. */
  readonly namespace: string | undefined
  readonly forgets: boolean
  /** Absent where the adapter can't. */
  readonly list: (() => AsyncIterator<[key: string, value: unknown]>) | undefined
  readonly #adapter: Adapter
  readonly #isOurs: boolean
  #heard = 0
  #error: unknown
  #underWay = 0
  #closed = false

  constructor (adapter: KeyvAdapter, { isOurs, namespace }: { isOurs: boolean, namespace: string }) {
    this.#adapter = adapter
    this.#isOurs = isOurs
    // With it, an adapter of ours lists nothing but what is ours.
    if (isOurs && this.#adapter.namespace === undefined) this.#adapter.namespace = namespace
    this.namespace = this.#adapter.namespace
    this.forgets = this.#adapter.ttlSupport === true || ['redis', 'valkey'].includes(String(this.#adapter.opts?.dialect))
    this.list = listOf(this.#adapter, this.namespace)
    // Nobody else may listen, and then an error that is emitted would end the process.
    this.#adapter.on?.('error', this.#hear)
  }

  get (key: string): Promise<unknown> {
    return this.#ask('get', () => this.#adapter.get(key), (answer) => answer !== undefined && answer !== null)
  }

  set (key: string, value: unknown, ttlMs: number): Promise<unknown> {
    return this.#ask('set', () => this.#adapter.set(key, value, ttlMs), (answer) => answer === true)
  }

  delete (key: string): Promise<unknown> {
    return this.#ask('delete', () => this.#adapter.delete(key), (answer) => answer === true)
  }

  /** Disconnects what is ours. A lent one is no longer listened to, once what is under way has ended. */
  async close (): Promise<void> {
    this.#closed = true
    this.#unlisten()
    if (!this.#isOurs || typeof this.#adapter.disconnect !== 'function') return
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => { timer = after(() => resolve('late'), GOODBYE_MS) })
    const left = (async () => await this.#adapter.disconnect?.())()
    left.catch(() => {})
    try {
      // Some take it as an order; the others are asked twice.
      if (await Promise.race([left, late]) === 'late') (async () => await this.#adapter.disconnect?.(true))().catch(() => {})
    } finally {
      clearTimeout(timer)
    }
  }

  /** The answer of `call`, unless it is one that a failure may have made while an error was heard of. */
  async #ask (operation: Operation, call: () => unknown, isSure: (answer: unknown) => boolean): Promise<unknown> {
    // What a Keyv does with a value may take until then.
    if (this.#closed) throw new CACHE_ERR_CLOSED(`keyv.${operation}`)
    const heard = this.#heard
    this.#underWay++
    try {
      const answer = await call()
      if (operation === 'set' && answer === false) throw new CACHE_ERR_BACKEND_FAILED('keyv', 'set', 'the adapter did not store it')
      if (this.#heard !== heard && !isSure(answer)) throw this.#error
      return answer
    } finally {
      this.#underWay--
      this.#unlisten()
    }
  }

  readonly #hear = (error: unknown): void => {
    this.#heard++
    this.#error = error instanceof Error ? error : new CACHE_ERR_BACKEND_FAILED('keyv', 'a call', String(error))
  }

  #unlisten (): void {
    // An adapter of ours may have something to say until it is gone.
    if (this.#closed && !this.#isOurs && this.#underWay === 0) this.#adapter.off?.('error', this.#hear)
  }
}

function listOf (adapter: Adapter, namespace: string | undefined): AskedAdapter['list'] {
  if (typeof adapter.iterator === 'function') return () => adapter.iterator!(namespace)
  if (!(adapter instanceof Map)) return undefined
  return async function * () { yield * [...adapter as Map<string, unknown>] }
}
