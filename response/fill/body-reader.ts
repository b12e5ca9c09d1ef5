// One reader of a shared body: how far it is, and whether it waits for more.

/** What a reader hands its bytes to. */
export interface BodySink {
  push (piece: Uint8Array): void
  end (): void
  fail (err: Error): void
}

/** The body, as a reader sees it. */
interface Body {
  serve (reader: BodyReader): void
  leave (reader: BodyReader): void
}

export class BodyReader {
  /** The number of bytes that it has taken. */
  at = 0
  /** Whether it has taken everything that has arrived, and waits for more. */
  isWaiting = false
  readonly #body: Body
  readonly #sink: BodySink

  constructor (body: Body, sink: BodySink) {
    this.#body = body
    this.#sink = sink
  }

  /** Called by the sink when it can take more. */
  want (): void {
    if (this.isWaiting) return
    this.isWaiting = true
    this.#body.serve(this)
  }

  take (piece: Uint8Array): void {
    this.isWaiting = false
    this.at += piece.byteLength
    this.#sink.push(piece)
  }

  end (): void {
    this.isWaiting = false
    this.#body.leave(this)
    this.#sink.end()
  }

  fail (err: Error): void {
    this.isWaiting = false
    this.#body.leave(this)
    this.#sink.fail(err)
  }

  /** Called by the sink when its client has left. */
  leave (): void {
    this.#body.leave(this)
  }
}
