// The class of the HTTP backend. It sends a read only once, but sends a write again until it takes effect or times out.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CacheBackend, StoredEntry } from '../../registry/backend.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { refusal } from '../../registry/refusal.js'
import type { BackendContext } from '../../registry/registry.js'
import type { Write } from '../../registry/write-queue.js'
import { HttpWriteQueue, type SendResult } from './write-queue.js'
import {
  CHANGE_FIELD, changeOutcome, digestOf, entryIn, EXPIRES_AT_FIELD, expiresAtField, isTooLarge, retryAfterMs, sealed
} from './codec.js'
import { ServiceConnection } from './connection.js'
import type { Driver } from './driver.js'
import type { Settings } from './options.js'

/** A backend that stores its entries in a cache service. */
export class HttpBackend implements CacheBackend {
  readonly #now: () => number
  readonly #maxValueBytes: number
  readonly #connection: ServiceConnection
  readonly #writes: HttpWriteQueue
  readonly #writer = randomUUID()
  #sent = 0
  #closing: Promise<void> | undefined

  constructor (settings: Settings, driver: Driver, { now, deadlineMs = Infinity }: BackendContext) {
    this.#now = now
    this.#maxValueBytes = settings.maxValueBytes
    this.#connection = new ServiceConnection(settings, driver, deadlineMs)
    this.#writes = new HttpWriteQueue({
      send: (change, timeoutMs) => this.#send(change, timeoutMs),
      // The timer must not keep the process alive while the service is down.
      wait: (ms, signal) => sleep(ms, undefined, { signal, ref: false }).catch(() => {}),
      random: Math.random,
      now: () => performance.now(),
      timeoutMs: settings.timeoutMs,
      maxRetries: settings.maxRetries
    })
  }

  async get (key: string): Promise<StoredEntry | undefined> {
    if (this.#closing !== undefined) throw new CACHE_ERR_CLOSED('http.get')
    const change = this.#writes.find(key)
    // If a write is pending, its entry is returned, because the service may not have that entry yet.
    if (change !== undefined) return this.#live(change.entry)
    const digest = digestOf(key)
    const found = entryIn(await this.#connection.exchange({ operation: 'get', digest }), digest)
    if (typeof found === 'string') throw this.#connection.failure('get', found)
    return this.#live(found)
  }

  async set (key: string, entry: StoredEntry): Promise<void> {
    if (entry.value.byteLength > this.#maxValueBytes) {
      // The new entry is refused, but the old one is out of date and must be deleted.
      await this.delete(key)
      throw refusal(new CACHE_ERR_BACKEND_FAILED('http', 'set', 'the value is larger than http.maxValueBytes allows'))
    }
    await this.#writes.put({ key, entry: this.#live(entry) })
  }

  async delete (key: string): Promise<void> {
    await this.#writes.put({ key, entry: undefined })
  }

  close (): Promise<void> {
    this.#writes.close()
    this.#closing ??= this.#connection.close()
    return this.#closing
  }

  #live (entry: StoredEntry | undefined): StoredEntry | undefined {
    return entry !== undefined && entry.expiresAt > this.#now() ? entry : undefined
  }

  /** Sends a write once. Never rejects: if sending fails, it returns the failure as a result. */
  async #send ({ key, entry }: Write, timeoutMs: number): Promise<SendResult> {
    const operation = entry === undefined ? 'delete' : 'set'
    const digest = digestOf(key)
    const change = { [CHANGE_FIELD]: `${this.#writer}/${++this.#sent}` }
    try {
      const response = await this.#connection.exchange(entry === undefined
        ? { operation, digest, headers: change }
        : {
            operation,
            digest,
            headers: { ...change, [EXPIRES_AT_FIELD]: expiresAtField(entry.expiresAt), 'content-type': 'application/octet-stream' },
            body: sealed(entry.value, digest)
          }, timeoutMs)
      const kind = changeOutcome(response, entry === undefined)
      if (kind === 'done') return { kind }
      const failure = this.#connection.failure(operation, `the service responded with ${response.status}`)
      const error = isTooLarge(response) ? refusal(failure) : failure
      return kind === 'refused' ? { kind, error } : { kind, error, retryAfterMs: retryAfterMs(response, this.#now()) }
    } catch (error) {
      return { kind: 'failed', error: error as Error }
    }
  }
}
