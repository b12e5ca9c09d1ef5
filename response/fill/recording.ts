// Records a body while it is sent. Each chunk passes through without delay. If a limit is exceeded, the recorded bytes are dropped.
import { Transform, type Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { Pieces } from '../../registry/pieces.js'

// The limit on the bytes that a recorded stream buffers for a slow reader. Node doesn't limit the number of chunks. If each chunk is one
// byte, this many chunks may wait, so the limit is low.
const WAITING_BYTES = 1024

/** The memory that all recordings may take together. */
export class RecordingBudget {
  readonly #maxBytes: number
  #heldBytes = 0

  constructor (maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  take (bytes: number): boolean {
    if (this.#heldBytes + bytes > this.#maxBytes) return false
    this.#heldBytes += bytes
    return true
  }

  give (bytes: number): void {
    this.#heldBytes -= bytes
  }
}

/** Receives the outcome of a recording. Only one of these methods is called, and only once. */
export interface RecordingEnd {
  whole (body: Buffer): void
  failed (why: 'too-large' | 'stream-failed'): void
}

/** Records the bytes of one body. */
export class BodyRecording {
  readonly #maxBytes: number
  readonly #budget: RecordingBudget
  readonly #end: RecordingEnd
  #pieces: Pieces | undefined = new Pieces()
  /** The number of bytes that were taken from the budget. */
  #takenBytes = 0

  constructor (maxBytes: number, budget: RecordingBudget, end: RecordingEnd) {
    this.#maxBytes = maxBytes
    this.#budget = budget
    this.#end = end
  }

  add (chunk: unknown): void {
    const pieces = this.#pieces
    if (pieces === undefined) return
    const piece = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    if (!(piece instanceof Uint8Array)) return this.fail('stream-failed')
    const costBytes = pieces.costOf(piece.byteLength)
    if (pieces.bytes + piece.byteLength > this.#maxBytes || !this.#budget.take(costBytes)) return this.fail('too-large')
    this.#takenBytes += costBytes
    pieces.add(piece)
  }

  complete (): void {
    if (this.#pieces === undefined) return
    const body = this.#pieces.whole()
    this.#drop()
    this.#end.whole(body)
  }

  fail (why: 'too-large' | 'stream-failed'): void {
    if (this.#pieces === undefined) return
    this.#drop()
    this.#end.failed(why)
  }

  #drop (): void {
    this.#pieces = undefined
    this.#budget.give(this.#takenBytes)
  }
}

/** Returns a stream that passes `source` on and records it. */
export function teed (kind: 'node' | 'web', source: unknown, recording: BodyRecording): Readable | ReadableStream {
  return kind === 'web' ? teeWebStream(source as ReadableStream, recording) : teeNodeStream(source as Readable, recording)
}

/** If `source` fails, the new stream fails with the same error. If the new stream is destroyed, `source` is destroyed too. */
function teeNodeStream (source: Readable, recording: BodyRecording): Readable {
  const tee = new Transform({
    highWaterMark: WAITING_BYTES,
    transform (chunk, _encoding, done) {
      recording.add(chunk)
      done(null, chunk)
    },
    flush (done) {
      recording.complete()
      done()
    },
    destroy (err, done) {
      recording.fail('stream-failed')
      source.destroy?.()
      done(err)
    }
  })
  // The stream may fail before anything else listens for errors, and without a listener, the error would end the process. Code that listens
  // later still sees that the stream has failed.
  tee.on('error', () => {})
  source.on('error', (err) => tee.destroy(err))
  source.on('close', () => {
    if (!source.readableEnded && !tee.writableEnded) {
      tee.destroy(Object.assign(new Error('Premature close'), { code: 'ERR_STREAM_PREMATURE_CLOSE' }))
    }
  })
  return source.pipe(tee)
}

/** Does the same as `teeNodeStream`, for a web stream. */
function teeWebStream (source: ReadableStream, recording: BodyRecording): ReadableStream {
  const reader = source.getReader()
  return new ReadableStream({
    async pull (controller) {
      try {
        const { done, value } = await reader.read()
        if (done) {
          recording.complete()
          controller.close()
        } else {
          recording.add(value)
          controller.enqueue(value)
        }
      } catch (err) {
        recording.fail('stream-failed')
        controller.error(err)
      }
    },
    async cancel (reason) {
      recording.fail('stream-failed')
      await reader.cancel(reason)
    }
  }, { highWaterMark: 0 })
}
