// Sends requests to the service, with a timeout and a limit on bodies. There are no redirects, no retries and no secrets in errors.
import type { Socket } from 'node:net'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { Slots } from '../../registry/slots.js'
import type { Connector, Driver, Pool, SentRequest } from './driver.js'
import { ServiceExchange } from './exchange.js'
import { SEAL_BYTES, type ServiceResponse } from './codec.js'
import type { Settings } from './options.js'

/** A request to the service. */
export interface ServiceRequest {
  readonly operation: 'get' | 'set' | 'delete'
  readonly digest: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

// One in this many of the connections is reserved for sets. That is enough, because no request waits for a set.
const SHARE_OF_SETS = 4

const METHODS = { get: 'GET', set: 'PUT', delete: 'DELETE' } as const

/** The connections to one service. */
export class ServiceConnection {
  readonly #settings: Settings
  readonly #driver: Driver
  readonly #deadlineMs: number
  readonly #pool: Pool
  /** The pool for sets, with a quarter of the connections. If there are fewer than four connections, it is the same as `#pool`. */
  readonly #poolOfSets: Pool
  readonly #fields: Readonly<Record<string, string>>
  readonly #underWay = new Slots<ServiceExchange>()
  /** Sockets that are still connecting. The pools do not know these sockets yet, so `close` has to destroy them itself. */
  readonly #connecting = new Set<Socket>()
  #closed = false

  /** `deadlineMs` is how long the caller waits for a read. */
  constructor (settings: Settings, driver: Driver, deadlineMs = Infinity) {
    this.#settings = settings
    this.#driver = driver
    this.#deadlineMs = deadlineMs
    // `identity` (RFC 9110 section 12.5.3) asks for an uncompressed body, because this code does not decompress anything.
    this.#fields = { 'accept-encoding': 'identity', ...(settings.authorization !== undefined && { authorization: settings.authorization }) }
    const ofSets = Math.floor(settings.maxConnections / SHARE_OF_SETS)
    this.#pool = this.#poolOf(settings.maxConnections - ofSets)
    this.#poolOfSets = ofSets === 0 ? this.#pool : this.#poolOf(ofSets)
  }

  /**
   * Sends a request. Returns the response, whatever its status is. Only a response to `get` includes its body. Rejects with
   * CACHE_ERR_BACKEND_FAILED on a timeout or failure, and with CACHE_ERR_CLOSED after `close`.
   */
  exchange (asked: ServiceRequest, timeoutMs = this.#settings.timeoutMs): Promise<ServiceResponse> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new CACHE_ERR_CLOSED(`http.${asked.operation}`))
      const exchange = new ServiceExchange({
        deadlineMs: asked.operation === 'get' ? this.#deadlineMs : Infinity,
        timeoutMs,
        maxBodyBytes: asked.operation === 'get' ? this.#settings.maxValueBytes + SEAL_BYTES : undefined,
        over: (outcome) => {
          this.#underWay.remove(slot)
          if (!(outcome instanceof Error)) resolve(outcome)
          else reject(this.#closed ? new CACHE_ERR_CLOSED(`http.${asked.operation}`) : this.failure(asked.operation, outcome))
        }
      })
      const slot = this.#underWay.add(exchange)
      try {
        (asked.operation === 'set' ? this.#poolOfSets : this.#pool).dispatch(this.#requestOf(asked), exchange)
      } catch (error) {
        exchange.end(error as Error)
      }
    })
  }

  /** Returns an error that says why `operation` failed and contains no secrets. */
  failure (operation: ServiceRequest['operation'], why: unknown): Error {
    if (typeof why === 'string') return new CACHE_ERR_BACKEND_FAILED('http', operation, why)
    const { code, name, message } = why as Error & { code?: unknown }
    // The original error may contain the request, including its header, so only its message and code are used.
    const words = this.#redacted(message !== '' ? message : String(code ?? name))
    const cause = Object.assign(new Error(words), typeof code === 'string' ? { code } : {})
    return new CACHE_ERR_BACKEND_FAILED('http', operation, words, { cause })
  }

  /** Ends all exchanges, and closes all connections. May be called twice. */
  async close (): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const exchange of this.#underWay.all()) exchange.end(new Error('closed'))
    for (const socket of this.#connecting) socket.destroy()
    await Promise.all([this.#pool.destroy(), this.#poolOfSets.destroy()])
  }

  #poolOf (connections: number): Pool {
    return new this.#driver.Pool(this.#settings.origin, {
      connections,
      pipelining: 1,
      connect: this.#connector(),
      // undici's timeouts are off: each exchange has its own timeout, which also ends a response whose body arrives too slowly.
      headersTimeout: 0,
      bodyTimeout: 0
    })
  }

  #requestOf ({ operation, digest, headers, body }: ServiceRequest): SentRequest {
    return {
      method: METHODS[operation],
      path: `${this.#settings.path}/cache/${digest}`,
      headers: headers === undefined ? this.#fields : { ...this.#fields, ...headers },
      ...(body !== undefined && { body })
    }
  }

  #redacted (text: string): string {
    return this.#settings.secrets.reduce((clean, secret) => clean.replaceAll(secret, '***'), text)
  }

  #connector (): (...args: Parameters<Connector>) => void {
    const connect = this.#driver.buildConnector({ timeout: this.#settings.timeoutMs })
    return (options, callback) => {
      const socket: Socket = connect(options, (...outcome) => {
        this.#connecting.delete(socket)
        callback(...outcome)
      })
      this.#connecting.add(socket)
    }
  }
}
