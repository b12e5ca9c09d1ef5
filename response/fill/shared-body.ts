// A body that is read once from its source, and by any number of readers, each at its own pace. It is recorded until it exceeds a limit.
import { Readable, Writable } from 'node:stream'
import { ReadableStream, type ReadableStreamDefaultController } from 'node:stream/web'
import { noop } from '../../registry/maybe-promise.js'
import { Pieces } from '../../registry/pieces.js'
import { BodyReader, type BodySink } from './body-reader.js'
import type { RecordingBudget } from './recording-budget.js'

/**
 * How far the slowest reader of a body that is not recorded may be behind its source, in bytes. Until it has caught up, nothing is read
 * from the source.
 */
const WINDOW_BYTES = 64 * 1024

/** A reader that takes nothing for this long, while others wait for it, is ended. */
const STALLED_MS = 5_000

/** Why a recording ended before the body did. `no-room`: too many bytes are being recorded at once. */
export type RecordingFailure = 'too-large' | 'no-room' | 'stream-failed'

/** Receives what happens to the body. Either `whole` or `failed` is called, and only once. */
export interface BodyEnd {
  /** Called when more bytes have arrived. */
  progressed (): void
  whole (body: Buffer): void
  failed (why: RecordingFailure): void
  /** Called when a reader was ended, because it took nothing while others waited. */
  stalled (): void
}

export interface SharedBodyOptions {
  readonly maxBytes: number
  readonly budget: RecordingBudget
  readonly end: BodyEnd
  /** @default 5000 */
  readonly stalledMs?: number
}

/**
 * The states of a body: `recording` keeps all bytes; `passing` keeps only those that a reader has not taken yet; `whole` is recorded to its
 * end; `ended` was not recorded, but is read to its end; `failed` broke off.
 */
type State =
  | { readonly name: 'recording' | 'passing' | 'ended' }
  | { readonly name: 'whole', readonly body: Buffer }
  | { readonly name: 'failed', readonly err: Error }

/** A stream of a shared body. */
export interface OpenedBody {
  readonly stream: Readable | ReadableStream
  leave (): void
}

export class SharedBody {
  readonly #options: SharedBodyOptions
  readonly #readers = new Set<BodyReader>()
  readonly #dropSource: (err?: Error) => void
  #pieces: Pieces | undefined = new Pieces()
  #state: State = { name: 'recording' }
  #bytes = 0
  /** The memory that was taken from the budget. */
  #takenBytes = 0
  /** Continues to read the source, if that has to wait for readers. */
  #resume: (() => void) | undefined
  #stallTimer: NodeJS.Timeout | undefined
  /** Called when the body is recorded, or will not be. */
  #awaiting: Array<(body: Buffer | undefined) => void> = []

  constructor (kind: 'node' | 'web', source: unknown, options: SharedBodyOptions) {
    this.#options = options
    this.#dropSource = kind === 'web' ? this.#readWeb(source as ReadableStream) : this.#readNode(source as Readable)
  }

  /** Whether all bytes are still there, so that another reader can begin. */
  get isOpen (): boolean {
    return this.#state.name === 'recording' || this.#state.name === 'whole'
  }

  /** Returns a stream of the whole body. Call this and `openAs` only while the body is open. */
  open (): Readable {
    const reader = this.#read({
      push: (piece) => { stream.push(piece) }, end: () => { stream.push(null) }, fail: (err) => { stream.destroy(err) }
    })
    const stream = new Readable({
      // Larger pieces than this are passed on one by one. Smaller ones are collected, up to this limit.
      highWaterMark: 1024,
      read: () => reader.want(),
      destroy (err, done) {
        reader.leave()
        done(err)
      }
    })
    // A stream may fail before anything else listens for errors. Without a listener, the error would end the process.
    stream.on('error', noop)
    return stream
  }

  /** Returns a stream of this kind, and a function that ends it early, even if other code reads it. */
  openAs (kind: 'node' | 'web'): OpenedBody {
    if (kind === 'web') return this.#openWeb()
    const stream = this.open()
    return { stream, leave: () => { stream.destroy() } }
  }

  /** Returns the whole body once it is recorded; undefined if it will not be. */
  whenRecorded (): Promise<Buffer | undefined> {
    if (this.#state.name !== 'recording') return Promise.resolve(this.#state.name === 'whole' ? this.#state.body : undefined)
    return new Promise((resolve) => { this.#awaiting.push(resolve) })
  }

  /** Stops recording. The present readers still receive all of the body; without any, the source is destroyed. */
  release (): void {
    if (this.#state.name !== 'recording') return
    this.#state = { name: 'passing' }
    this.#settle(undefined)
    this.#trim()
  }

  /** For readers: gives a reader that waits what comes next, or has it wait. */
  serve (reader: BodyReader): void {
    const state = this.#state
    if (state.name === 'failed') return reader.fail(state.err)
    const there = state.name === 'whole' ? state.body.subarray(reader.at) : this.#pieces?.from(reader.at)
    // A copy, because hooks may change it in place. It is small, because there may be many readers.
    if (there !== undefined && there.byteLength > 0) reader.take(Buffer.from(there.subarray(0, WINDOW_BYTES)))
    else if (state.name === 'whole' || state.name === 'ended') return reader.end()
    this.#trim()
  }

  /** For readers: called when a reader ends, or its client leaves. */
  leave (reader: BodyReader): void {
    if (this.#readers.delete(reader)) this.#trim()
  }

  #openWeb (): OpenedBody {
    let controller: ReadableStreamDefaultController<Uint8Array>
    const reader = this.#read({
      push: (piece) => controller.enqueue(piece), end: () => controller.close(), fail: (err) => controller.error(err)
    })
    const stream = new ReadableStream<Uint8Array>({
      start (given) { controller = given },
      pull: () => reader.want(),
      cancel: () => reader.leave()
    }, { highWaterMark: 0 })
    return { stream, leave: () => reader.leave() }
  }

  #read (sink: BodySink): BodyReader {
    const reader = new BodyReader(this, sink)
    this.#readers.add(reader)
    return reader
  }

  /** Adds a piece. `next` is called when the source may go on. */
  #add (chunk: unknown, next: () => void): void {
    const piece = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    if (!(piece instanceof Uint8Array)) return this.#fail(new TypeError('a stream of a response contains something that is not bytes'))
    if (this.#state.name === 'recording') this.#record(piece)
    const isPassing = this.#state.name === 'passing'
    const [reader] = this.#readers
    const isAlone = isPassing && this.#readers.size === 1 && reader?.isWaiting === true
    if (isPassing && !isAlone && reader !== undefined) (this.#pieces ??= new Pieces(this.#bytes)).add(piece)
    this.#bytes += piece.byteLength
    if (isAlone) reader!.take(piece)
    else for (const each of this.#readers) if (each.isWaiting) this.serve(each)
    this.#options.end.progressed()
    this.#resume = next
    this.#trim()
  }

  #record (piece: Uint8Array): void {
    const { budget, maxBytes } = this.#options
    const pieces = this.#pieces as Pieces
    const costBytes = pieces.costOf(piece.byteLength)
    const why = this.#bytes + piece.byteLength > maxBytes ? 'too-large' : budget.take(costBytes) ? undefined : 'no-room'
    if (why !== undefined) return this.#stop(why)
    this.#takenBytes += costBytes
    pieces.add(piece)
  }

  #stop (why: RecordingFailure): void {
    this.release()
    this.#options.end.failed(why)
  }

  #complete (): void {
    if (this.#state.name === 'recording') {
      const body = (this.#pieces as Pieces).whole()
      this.#state = { name: 'whole', body }
      this.#settle(body)
      this.#options.end.whole(body)
    } else if (this.#state.name === 'passing') this.#state = { name: 'ended' }
    for (const reader of this.#readers) if (reader.isWaiting) reader.end()
    this.#trim()
  }

  #fail (err: Error): void {
    const { name } = this.#state
    if (name !== 'recording' && name !== 'passing') return
    this.#state = { name: 'failed', err }
    this.#settle(undefined)
    for (const reader of this.#readers) reader.fail(err)
    this.#dropSource(err)
    this.#trim()
    if (name === 'recording') this.#options.end.failed('stream-failed')
  }

  #settle (body: Buffer | undefined): void {
    for (const resolve of this.#awaiting) resolve(body)
    this.#awaiting = []
  }

  /** Releases the memory that no reader needs any more, and lets the source go on if the readers have caught up. */
  #trim (): void {
    const { name } = this.#state
    if (name !== 'recording') this.#drop()
    if (name === 'passing' && this.#readers.size === 0) {
      this.#unwatch()
      return this.#dropSource()
    }
    if (name === 'passing' && this.#bytes - this.#slowest() > WINDOW_BYTES) return this.#watch()
    this.#unwatch()
    const resume = this.#resume
    this.#resume = undefined
    resume?.()
  }

  #drop (): void {
    const { name } = this.#state
    const slowest = this.#slowest()
    if (name === 'whole' || name === 'failed' || slowest === this.#bytes) this.#pieces = undefined
    else this.#pieces?.drop(slowest)
    // A whole body is in memory as long as somebody reads it.
    if (this.#takenBytes === 0 || this.#pieces !== undefined || (name === 'whole' && this.#readers.size > 0)) return
    this.#options.budget.give(this.#takenBytes)
    this.#takenBytes = 0
  }

  #slowest (): number {
    let at = this.#bytes
    for (const reader of this.#readers) at = Math.min(at, reader.at)
    return at
  }

  /** While the source waits for the slowest readers, ends those that take nothing, if others wait for them. */
  #watch (): void {
    if (this.#stallTimer !== undefined) return
    const before = new Map([...this.#readers].map((reader) => [reader, reader.at]))
    this.#stallTimer = setTimeout(() => {
      this.#stallTimer = undefined
      const readers = [...this.#readers]
      const stalled = readers.filter((reader) => reader.at < this.#bytes && before.get(reader) === reader.at)
      const isHolding = readers.some(({ isWaiting }) => isWaiting)
      for (const reader of isHolding ? stalled : []) {
        reader.fail(new Error('the client took nothing of this response while other clients waited for the rest of it'))
        this.#options.end.stalled()
      }
      this.#trim()
    }, this.#options.stalledMs ?? STALLED_MS).unref()
  }

  #unwatch (): void {
    clearTimeout(this.#stallTimer)
    this.#stallTimer = undefined
  }

  /** Begins to read a Node stream, perhaps from another package. Returns a function that destroys it. */
  #readNode (source: Readable): () => void {
    const sink = new Writable({
      objectMode: true,
      highWaterMark: 1,
      write: (chunk, _encoding, done) => { this.#add(chunk, done) },
      final: (done) => {
        this.#complete()
        done()
      }
    })
    sink.on('error', (err) => this.#fail(err))
    source.on('error', (err) => this.#fail(err))
    source.on('close', () => {
      if (!source.readableEnded && !sink.writableEnded) {
        this.#fail(Object.assign(new Error('Premature close'), { code: 'ERR_STREAM_PREMATURE_CLOSE' }))
      }
    })
    source.pipe(sink)
    return () => {
      source.unpipe?.(sink)
      source.destroy?.()
    }
  }

  /** Begins to read a web stream. Returns a function that cancels it. */
  #readWeb (source: ReadableStream): (reason?: Error) => void {
    const reader = source.getReader()
    const next = (): void => {
      reader.read().then(({ done, value }) => {
        if (done) this.#complete()
        else this.#add(value, next)
      }).catch((err) => this.#fail(err))
    }
    next()
    return (reason) => { reader.cancel(reason).catch(noop) }
  }
}
