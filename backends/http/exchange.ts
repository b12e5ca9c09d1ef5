// One exchange with the service: an undici handler that collects the body, up to a limit, and has one timeout for everything.
import { Deadline, type Wait } from '../../registry/deadline.js'
import { Pieces } from '../../registry/pieces.js'
import type { ServiceResponse } from './codec.js'
import type { Controller, ExchangeHandler } from './driver.js'

export interface ServiceExchangeOptions {
  /** How long the caller waits. Infinity means that the caller waits until the timeout. */
  readonly deadlineMs: number
  /** How long the whole exchange may take. */
  readonly timeoutMs: number
  /** The largest body of a 200 response. Undefined if no body is needed. */
  readonly maxBodyBytes: number | undefined
  /** Called once with the result. */
  readonly over: (outcome: ServiceResponse | Error) => void
}

// A body that is not needed is read up to this size and discarded, so that the connection can be reused.
const MAX_OTHER_BYTES = 16 * 1024

const EMPTY = Buffer.alloc(0)

/** A request that is under way. */
export class ServiceExchange implements ExchangeHandler {
  readonly #options: ServiceExchangeOptions
  readonly #maxBodyBytes: number
  readonly #pieces = new Pieces()
  #wait: Wait
  #controller: Controller | undefined
  /** `awaited`: the caller waits. `left`: it no longer waits, but a small response is still read, so that the connection can stay open. */
  #stage: 'awaited' | 'left' | 'ended' = 'awaited'
  #failure: Error | undefined
  #status = 0
  #headers: ServiceResponse['headers'] = {}
  #bytes = 0

  constructor (options: ServiceExchangeOptions) {
    this.#options = options
    this.#maxBodyBytes = options.maxBodyBytes ?? 0
    const { deadlineMs, timeoutMs } = options
    this.#wait = deadlineMs < timeoutMs ? waitFor(deadlineMs, () => this.#leave()) : waitFor(timeoutMs, () => this.end(late(timeoutMs)))
  }

  /** Ends the exchange with an error, even if it still waits for a connection. */
  end (error: Error): void {
    if (this.#stage === 'ended') return
    this.#settle(error)
    this.#failure = error
    this.#controller?.abort(error)
  }

  onRequestStart (controller: Controller): void {
    this.#controller = controller
    // If the exchange has already ended, this throws, which keeps the connection open for the next exchange. An abort would close it.
    if (this.#failure !== undefined) throw this.#failure
  }

  onResponseStart (_controller: Controller, status: number, headers: ServiceResponse['headers']): void {
    if (status < 200) return
    this.#status = status
    this.#headers = headers
    if (!this.#isRead()) return
    const encoding = headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity') this.end(new Error('the response has a content-encoding that was not asked for'))
    else if (Number(headers['content-length']) > this.#maxBodyBytes) this.#isTooLarge()
  }

  onResponseData (controller: Controller, chunk: Buffer): void {
    if (this.#stage === 'ended') return
    this.#bytes += chunk.byteLength
    if (this.#isRead()) {
      if (this.#bytes > this.#maxBodyBytes) this.#isTooLarge()
      // The chunk is copied, because it is a view of a buffer and would keep everything that was read from the socket alive.
      else this.#pieces.add(chunk)
    } else if (this.#bytes > MAX_OTHER_BYTES) {
      this.onResponseEnd()
      controller.abort(new Error('enough'))
    }
  }

  onResponseEnd (): void {
    this.#settle({ status: this.#status, headers: this.#headers, body: this.#isRead() ? this.#pieces.whole() : EMPTY })
  }

  onResponseError (_controller: Controller, error: Error): void {
    this.#settle(error)
  }

  /** Returns whether the body is needed. */
  #isRead (): boolean {
    return this.#stage === 'awaited' && this.#status === 200 && this.#options.maxBodyBytes !== undefined
  }

  /**
   * Called when the caller no longer waits. Ends the exchange if its request has not been sent yet, or the response has begun. Otherwise
   * keeps the connection open for the next exchange: if that had to wait for a new connection, it would be late too.
   */
  #leave (): void {
    const { deadlineMs, timeoutMs } = this.#options
    if (this.#status !== 0 || this.#controller === undefined) return this.end(late(deadlineMs))
    this.#settle(late(deadlineMs), 'left')
    this.#wait = waitFor(timeoutMs - deadlineMs, () => this.end(late(timeoutMs)))
  }

  #settle (outcome: ServiceResponse | Error, stage: 'left' | 'ended' = 'ended'): void {
    const wasAwaited = this.#stage === 'awaited'
    this.#stage = stage
    this.#wait.cancel()
    if (wasAwaited) this.#options.over(outcome)
  }

  #isTooLarge (): void {
    this.end(new Error(`the response is larger than ${this.#maxBodyBytes} bytes`))
  }
}

const late = (ms: number): Error => new Error(`no response within ${Math.round(Math.max(ms, 0))} ms`)

function waitFor (ms: number, act: () => void): Wait {
  return new Deadline(Math.max(ms, 0)).wait(act, { ref: false })
}
