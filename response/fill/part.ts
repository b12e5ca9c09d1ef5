// Holds a stream back until it is recorded, so that a part can be cut out of it. If recording stops, the stream is passed on.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type { MaybePromise } from '../../registry/backend.js'
import { Pieces } from '../../registry/pieces.js'
import type { Conditions } from '../http/conditional.js'
import { mayBeCut } from '../serve/representation.js'
import type { RecordingBudget } from './recording.js'

type Chunk = Uint8Array | string

/** The response from which a part is to be cut. */
export interface Whole {
  readonly status: number
  readonly fields: readonly string[]
  /** Whether other hooks may still change the body. If so, no part is cut out. */
  readonly mayChange: boolean
}

export class Part {
  /** A copy of the client's conditions as they arrived, because handlers change `request.headers` before they proxy a request. */
  readonly conditions: Conditions
  readonly #method: string
  readonly #reply: FastifyReply
  readonly #budget: RecordingBudget
  #held: Readable | undefined

  constructor ({ headers, method }: FastifyRequest, reply: FastifyReply, budget: RecordingBudget) {
    this.conditions = { ...headers }
    this.#method = method
    this.#reply = reply
    this.#budget = budget
  }

  /** Whether a stream is held back until it is recorded. */
  get holds (): boolean {
    return this.#held !== undefined
  }

  /**
   * If the client gets only a part of the stream, keeps the stream from the client until it is recorded whole. Returns the stream to go on
   * with. `at` is the current time in epoch milliseconds.
   */
  hold (stream: Readable | ReadableStream, response: Whole, at: number): Readable | ReadableStream {
    const acceptRanges = this.#reply.getHeader('accept-ranges') as string | undefined
    if (!mayBeCut(response, this.conditions, { method: this.#method, at, wholeOnly: response.mayChange, acceptRanges })) return stream
    this.#held = stream instanceof Readable ? stream : Readable.fromWeb(stream)
    return this.#held
  }

  /**
   * Returns the payload to pass on. If a stream is held back, waits for its end and returns the body from `recorded`. If recording stops
   * before the end, returns a stream instead.
   */
  whenWhole (payload: unknown, recorded: () => unknown, isRecorded: () => boolean): MaybePromise<unknown> {
    if (this.#held === undefined) return payload
    return whenEnded(this.#held, isRecorded, this.#budget).then((passed) => {
      this.#held = undefined
      if (passed !== undefined) return passed
      // RFC 9112 section 6.2: the length is known now, so Content-Length replaces Transfer-Encoding.
      this.#reply.removeHeader('transfer-encoding')
      return recorded()
    })
  }

  /** Destroys a stream that is held back, because its response has ended. */
  abandon (): void {
    this.#held?.destroy()
  }
}

/**
 * Waits until `source` ends. Returns undefined if `source` was recorded to its end. If recording stops, returns a stream of the chunks that
 * have arrived, followed by the rest. If `source` fails, returns `source` itself. Never rejects.
 */
async function whenEnded (source: Readable, isRecorded: () => boolean, budget: RecordingBudget): Promise<Readable | undefined> {
  const chunks: AsyncIterator<Chunk> = source[Symbol.asyncIterator]()
  const pieces = new Pieces()
  let heldBytes = 0
  const release = (): void => {
    budget.give(heldBytes)
    heldBytes = 0
  }
  let beyond: Chunk | undefined
  try {
    while (beyond === undefined && isRecorded()) {
      const { done, value } = await chunks.next()
      if (done === true) {
        if (!isRecorded()) break
        release()
        return undefined
      }
      const piece = typeof value === 'string' ? Buffer.from(value) : value
      // The recording keeps the piece too, so its memory is taken from the budget twice.
      const costBytes = pieces.costOf(piece.byteLength)
      if (budget.take(costBytes)) {
        heldBytes += costBytes
        pieces.add(piece)
      } else beyond = piece
    }
  } catch {
    release()
    return source
  }
  const held = [pieces.whole(), ...(beyond === undefined ? [] : [beyond])].filter(({ length }) => length > 0)
  return passedOn(held, chunks, (isOver) => {
    release()
    if (isOver) source.destroy()
  })
}

/**
 * Returns a stream of the chunks in `held`, followed by `rest`. Calls `released(false)` on every read, and `released(true)` when the stream
 * is destroyed.
 */
function passedOn (held: Chunk[], rest: AsyncIterator<Chunk>, released: (isOver: boolean) => void): Readable {
  return new Readable({
    read () {
      const piece = held.shift()
      released(false)
      if (piece !== undefined) this.push(piece)
      else rest.next().then(({ done, value }) => this.push(done === true ? null : value), (err) => this.destroy(err))
    },
    destroy (err, done) {
      released(true)
      done(err)
    }
  })
}
