// The part that a client asks for on a miss: a stream is held back until it has ended, and is passed on if it is not recorded to its end.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type { MaybePromise } from '../../registry/backend.js'
import { Pieces } from '../../registry/pieces.js'
import type { Conditions } from '../http/conditional.js'
import { mayBeCut } from '../serve/representation.js'
import type { RecordingBudget } from './recording.js'

type Chunk = Uint8Array | string

/** The response that a part is to be cut out of. */
export interface Whole {
  readonly status: number
  readonly fields: readonly string[]
  /** Whether other hooks may yet change the body: then no part is cut out. */
  readonly mayChange: boolean
}

export class Part {
  /** The client's conditions as they came: handlers change `request.headers` before they pass a request on. */
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

  /** Whether a stream is held back. */
  get holds (): boolean {
    return this.#held !== undefined
  }

  /** Holds back a stream that is recorded, if a part of it is to be cut out. `at`: now, in epoch milliseconds. */
  hold (stream: Readable | ReadableStream, response: Whole, at: number): Readable | ReadableStream {
    const acceptRanges = this.#reply.getHeader('accept-ranges') as string | undefined
    if (!mayBeCut(response, this.conditions, { method: this.#method, at, wholeOnly: response.mayChange, acceptRanges })) return stream
    this.#held = stream instanceof Readable ? stream : Readable.fromWeb(stream)
    return this.#held
  }

  /** The payload to go on with: of a stream that was held back, its body, which `recorded` has, or what is passed on in place of it. */
  whenWhole (payload: unknown, recorded: () => unknown, isRecorded: () => boolean): MaybePromise<unknown> {
    if (this.#held === undefined) return payload
    return whenEnded(this.#held, isRecorded, this.#budget).then((passed) => {
      this.#held = undefined
      if (passed !== undefined) return passed
      // RFC 9112 section 6.2: its length is known by now.
      this.#reply.removeHeader('transfer-encoding')
      return recorded()
    })
  }

  /** Nobody waits for it any more. */
  abandon (): void {
    this.#held?.destroy()
  }
}

/**
 * Waits for the end of `source`; undefined when it was recorded until then. Once it is not recorded any more, what has come
 * is returned as a stream that the rest follows. Never rejects: a stream that breaks is returned itself.
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
      // It is held a second time beside its recording, and that counts as well.
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

/** What was held, and the rest of what it came from. `released` is told when the former is passed on, and when nobody reads on. */
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
