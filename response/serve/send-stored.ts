// Sends a stored or shared response to one client, after applying the conditions and ranges of its request.
import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Connections } from '../fastify/connections.js'
import type { FastifyInternals } from '../fastify/fastify-internals.js'
import { isConditional } from '../http/conditional.js'
import type { ObservedRoute, Observer } from '../observe/observer.js'
import type { Entry, ResponseHead } from '../store/entry.js'
import { withoutOwnEtag, type HookedHit } from './hooked-hit.js'
import { hasLeft } from './payload.js'
import { selectRepresentation } from './representation.js'
import type { Sender } from './send.js'

export interface SendServices {
  readonly connections: Connections
  readonly internals: FastifyInternals
  readonly observer: Observer
  readonly sender: Sender
}

/** A request and its reply. */
export interface Recipient {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/** The stream of another request's response. The entry has no body. */
export interface StreamToSend {
  readonly entry: Entry<ResponseHead>
  readonly stream: { open (): Readable }
  /** The length that the handler announced; undefined if it announced none. */
  readonly lengthBytes: number | undefined
}

export class StoredSender {
  readonly #services: SendServices

  constructor (services: SendServices) {
    this.#services = services
  }

  /** Sends a whole response. `status` is the member of Cache-Status, and `at` the time of the lookup, in epoch milliseconds. */
  send (route: ObservedRoute, { request, reply }: Recipient, entry: Entry<ResponseHead>, status: string, at: number): void {
    const { internals, sender } = this.#services
    const { headers, method } = request
    // If hooks may still change the body, its own ETag and ranges have to wait for them.
    const wholeOnly = internals.isHooked(request)
    const whole = wholeOnly ? withoutOwnEtag(entry) : entry
    const given = isConditional(headers)
      ? selectRepresentation(whole, headers, {
        method, at, wholeOnly, acceptRanges: reply.getHeader('accept-ranges') as string | undefined
      })
      : whole
    const hooked = wholeOnly && given === whole ? this.#hooked(route, entry) : undefined
    sender.send(request, reply, given, { status, at, hooked })
  }

  /** Sends the stream of another request's response from its first byte, unless the request's conditions make it unnecessary. */
  sendStream ({ request, reply }: Recipient, { entry, stream, lengthBytes }: StreamToSend, status: string, at: number): void {
    const { connections, sender } = this.#services
    const { headers, method } = request
    const given = isConditional(headers) ? selectRepresentation(entry, headers, { method, at, wholeOnly: true }) : entry
    if (given !== entry) return sender.send(request, reply, given, { status, at })
    const payload = stream.open()
    // Fastify does not notice each client that has left, and the others would wait for it.
    connections.whenOver(reply, () => { payload.destroy() })
    sender.send(request, reply, entry, { status, at, stream: { payload, lengthBytes } })
    if (hasLeft(reply)) payload.destroy()
  }

  /** Returns what a hit needs on its way through hooks. A hit without hooks doesn't create it. */
  #hooked (route: ObservedRoute, entry: Entry<ResponseHead>): Pick<HookedHit, 'entry' | 'onChanged'> {
    const { observer } = this.#services
    return { entry, onChanged: (hook, coding) => observer.tellChangedBody(route, hook, coding) }
  }
}
