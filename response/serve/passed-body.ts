// A body on its way through onSend hooks. It is compared afterwards, because only what hooks do shows whether they leave bodies alone.
import type { FastifyReply, onSendHookHandler } from 'fastify'

export class PassedBody {
  readonly #given: unknown
  readonly #status: number
  readonly #coding: unknown
  #last: unknown
  #hook: onSendHookHandler | undefined
  /** The hook that returned another payload than it received; undefined if none did, or if only the last one did. */
  #changing: onSendHookHandler | undefined

  /** `given` is the payload that the first hook receives. */
  constructor (reply: FastifyReply, given: unknown) {
    this.#given = this.#last = given
    this.#status = reply.statusCode
    this.#coding = reply.getHeader('content-encoding')
  }

  /** Notes the payload that `hook` receives, so that the hook that changes the body can be named. */
  reaches (hook: onSendHookHandler, payload: unknown): void {
    if (payload !== this.#last) this.#changing ??= this.#hook
    this.#last = payload
    this.#hook = hook
  }

  /** Returns whether the hooks left the status and Content-Encoding alone, and passed on the payload itself, or an equal string. */
  isPassedOn (reply: FastifyReply, payload: unknown): boolean {
    return (payload ?? undefined) === (this.#given ?? undefined) && reply.statusCode === this.#status &&
      reply.getHeader('content-encoding') === this.#coding
  }

  /** Returns whether `isPassedOn` is true, and a buffer still has the bytes of `body`. */
  isUnchanged (reply: FastifyReply, payload: unknown, body: Buffer | string | undefined): boolean {
    return this.isPassedOn(reply, payload) && (!(payload instanceof Uint8Array) || !Buffer.isBuffer(body) || body.equals(payload))
  }

  /** Returns the hook that changed the body. `payload` is the one after the last hook. Undefined if no hook returned another payload. */
  changedBy (payload: unknown): onSendHookHandler | undefined {
    return this.#changing ?? (payload === this.#last ? undefined : this.#hook)
  }
}

/** Wraps a hook, so that the body on its way, which `passedOf` finds, is told what the hook receives. */
export function noticed (hook: onSendHookHandler, passedOf: (reply: FastifyReply) => PassedBody | undefined): onSendHookHandler {
  return function (request, reply, payload, done) {
    passedOf(reply)?.reaches(hook, payload)
    return hook.call(this, request, reply, payload, done)
  }
}
