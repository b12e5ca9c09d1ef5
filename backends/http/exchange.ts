// One exchange as undici's handler: what comes is gathered up to a cap, and one deadline ends it wherever it stands.
import { setTimeout as after } from 'node:timers'
import type { Dispatcher } from 'undici'
import type { Answer } from './protocol.js'

export interface ExchangeOptions {
  readonly timeoutMs: number
  /** The body of a 200 is read up to here. */
  readonly maxBodyBytes: number
  /** Told once what came of it. */
  readonly over: (outcome: Answer | Error) => void
}

// What other statuses say is of no interest; a little of it is read so that the connection can be used again.
const MAX_OTHER_BYTES = 16 * 1024

const LONGEST_TIMER_MS = 2 ** 31 - 1
const EMPTY = Buffer.alloc(0)

type Controller = Pick<Dispatcher.DispatchController, 'abort'>

/** A request under way. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #options: ExchangeOptions
  readonly #timer: NodeJS.Timeout
  readonly #chunks: Buffer[] = []
  #controller: Controller | undefined
  #ended: Error | undefined
  #isOver = false
  #status = 0
  #headers: Answer['headers'] = {}
  #bytes = 0

  constructor (options: ExchangeOptions) {
    this.#options = options
    const waitMs = Math.min(Math.max(options.timeoutMs, 0), LONGEST_TIMER_MS)
    this.#timer = after(() => this.end(new Error(`no answer within ${Math.round(waitMs)} ms`)), waitMs).unref()
  }

  /** Ends the exchange with an error, also while it waits for a connection. */
  end (error: Error): void {
    if (!this.#settle(error)) return
    this.#ended = error
    this.#controller?.abort(error)
  }

  onRequestStart (controller: Controller): void {
    this.#controller = controller
    if (this.#ended !== undefined) controller.abort(this.#ended)
  }

  onResponseStart (_controller: Controller, status: number, headers: Answer['headers']): void {
    if (status < 200) return
    this.#status = status
    this.#headers = headers
    const encoding = headers['content-encoding']
    if (status === 200 && encoding !== undefined && encoding !== 'identity') this.end(new Error('the answer has a content-encoding that was not asked for'))
    else if (status === 200 && Number(headers['content-length']) > this.#options.maxBodyBytes) this.#isTooLarge()
  }

  onResponseData (controller: Controller, chunk: Buffer): void {
    if (this.#ended !== undefined) return
    this.#bytes += chunk.byteLength
    if (this.#status === 200) {
      this.#chunks.push(chunk)
      if (this.#bytes > this.#options.maxBodyBytes) this.#isTooLarge()
    } else if (this.#bytes > MAX_OTHER_BYTES) {
      this.onResponseEnd()
      controller.abort(new Error('enough'))
    }
  }

  onResponseEnd (): void {
    const body = this.#status === 200 ? this.#body() : EMPTY
    this.#settle({ status: this.#status, headers: this.#headers, body })
  }

  onResponseError (_controller: Controller, error: Error): void {
    this.#settle(error)
  }

  /** Answers false when that was done before. */
  #settle (outcome: Answer | Error): boolean {
    const isFirst = !this.#isOver
    this.#isOver = true
    clearTimeout(this.#timer)
    if (isFirst) this.#options.over(outcome)
    return isFirst
  }

  /** In memory of its own: a chunk is a part of what was read from the socket, and would keep all of that. */
  #body (): Buffer {
    const body = Buffer.allocUnsafeSlow(this.#bytes)
    let at = 0
    for (const chunk of this.#chunks) at += chunk.copy(body, at)
    return body
  }

  #isTooLarge (): void {
    this.#chunks.length = 0
    this.end(new Error(`the answer is larger than ${this.#options.maxBodyBytes} bytes`))
  }
}
