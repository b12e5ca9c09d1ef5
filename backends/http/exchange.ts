// One exchange as undici's handler: what comes is gathered up to a cap, and one deadline ends it wherever it stands.
import type { Dispatcher } from 'undici'
import { Deadline, type Wait } from '../../registry/deadline.js'
import { Pieces } from '../../registry/pieces.js'
import type { Answer } from './codec.js'

export interface ExchangeOptions {
  /** When whoever asked waits no longer; Infinity: not before `timeoutMs`. */
  readonly deadlineMs: number
  /** How long it may take in all. */
  readonly timeoutMs: number
  /** The body of a 200 is read up to here; undefined: no body is of interest. */
  readonly maxBodyBytes: number | undefined
  /** Told once what came of it. */
  readonly over: (outcome: Answer | Error) => void
}

// What else is said is of no interest; a little of it is read so that the connection can be used again.
const MAX_OTHER_BYTES = 16 * 1024

const EMPTY = Buffer.alloc(0)

type Controller = Pick<Dispatcher.DispatchController, 'abort'>

/** A request under way. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #options: ExchangeOptions
  readonly #maxBodyBytes: number
  readonly #pieces = new Pieces()
  #wait: Wait
  #controller: Controller | undefined
  /** `awaited`: somebody waits for it. `left`: nobody does, and the connection is kept if what comes yet is small. */
  #stage: 'awaited' | 'left' | 'ended' = 'awaited'
  #failure: Error | undefined
  #status = 0
  #headers: Answer['headers'] = {}
  #bytes = 0

  constructor (options: ExchangeOptions) {
    this.#options = options
    this.#maxBodyBytes = options.maxBodyBytes ?? 0
    const { deadlineMs, timeoutMs } = options
    this.#wait = deadlineMs < timeoutMs ? waitFor(deadlineMs, () => this.#leave()) : waitFor(timeoutMs, () => this.end(late(timeoutMs)))
  }

  /** Ends the exchange with an error, also while it waits for a connection. */
  end (error: Error): void {
    if (this.#stage === 'ended') return
    this.#settle(error)
    this.#failure = error
    this.#controller?.abort(error)
  }

  onRequestStart (controller: Controller): void {
    this.#controller = controller
    // To throw keeps the connection, to abort would close it: the next exchange need not wait for another one.
    if (this.#failure !== undefined) throw this.#failure
  }

  onResponseStart (_controller: Controller, status: number, headers: Answer['headers']): void {
    if (status < 200) return
    this.#status = status
    this.#headers = headers
    if (!this.#isRead()) return
    const encoding = headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity') this.end(new Error('the answer has a content-encoding that was not asked for'))
    else if (Number(headers['content-length']) > this.#maxBodyBytes) this.#isTooLarge()
  }

  onResponseData (controller: Controller, chunk: Buffer): void {
    if (this.#stage === 'ended') return
    this.#bytes += chunk.byteLength
    if (this.#isRead()) {
      if (this.#bytes > this.#maxBodyBytes) this.#isTooLarge()
      // Copied: a chunk is a view of what was read from the socket, and would keep all of that.
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

  /** Whether the body that comes is wanted. */
  #isRead (): boolean {
    return this.#stage === 'awaited' && this.#status === 200 && this.#options.maxBodyBytes !== undefined
  }

  /**
   * The deadline of whoever asked has passed. A body that has begun is not read on. Where no response has, the connection is
   * kept for the next exchange: to close it each time would have every one of them wait for a connection and be late in its turn.
   */
  #leave (): void {
    const { deadlineMs, timeoutMs } = this.#options
    if (this.#status !== 0 || this.#controller === undefined) return this.end(late(deadlineMs))
    this.#settle(late(deadlineMs), 'left')
    this.#wait = waitFor(timeoutMs - deadlineMs, () => this.end(late(timeoutMs)))
  }

  #settle (outcome: Answer | Error, stage: 'left' | 'ended' = 'ended'): void {
    const wasAwaited = this.#stage === 'awaited'
    this.#stage = stage
    this.#wait.cancel()
    if (wasAwaited) this.#options.over(outcome)
  }

  #isTooLarge (): void {
    this.end(new Error(`the answer is larger than ${this.#maxBodyBytes} bytes`))
  }
}

const late = (ms: number): Error => new Error(`no answer within ${Math.round(Math.max(ms, 0))} ms`)

function waitFor (ms: number, act: () => void): Wait {
  return new Deadline(Math.max(ms, 0)).wait(act, { ref: false })
}
