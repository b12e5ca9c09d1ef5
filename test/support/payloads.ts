// The payloads that a handler can send, each with a function that tells whether it has ended: read to its end, or destroyed.
import { Readable } from 'node:stream'

/** A payload as a handler passes it to `reply.send()`. */
export interface Made {
  readonly payload: unknown
  /** Whether no stream of it is still open. */
  isOver (): boolean
}

const there = (payload: unknown): Made => ({ payload, isOver: () => true })

function nodeStream (text: string): Made {
  const payload = Readable.from([Buffer.from(text)])
  return { payload, isOver: () => payload.destroyed }
}

function webStream (text: string): Made & { payload: ReadableStream } {
  let isOver = false
  const payload = new ReadableStream({
    pull (controller) {
      if (text !== '') controller.enqueue(Buffer.from(text))
      text = ''
      // The end comes with a read of its own, like that of a network stream.
      queueMicrotask(() => {
        if (isOver) return
        isOver = true
        controller.close()
      })
    },
    cancel () { isOver = true }
  }, { highWaterMark: 0 })
  return { payload, isOver: () => isOver }
}

/** Payloads by name; each is made from this text. */
export const PAYLOADS = {
  nothing: () => there(undefined),
  'a text': (text: string) => there(text),
  'a Buffer': (text: string) => there(Buffer.from(text)),
  'a Node stream': nodeStream,
  'a web stream': webStream,
  'a fetch Response': (text: string, status: number) => {
    // A Response with status 304 can't have a body.
    const { payload, isOver } = webStream(text)
    return status === 304 ? there(new Response(null, { status })) : { payload: new Response(payload, { status }), isOver }
  }
} satisfies Record<string, (text: string, status: number) => Made>

export type PayloadName = keyof typeof PAYLOADS
