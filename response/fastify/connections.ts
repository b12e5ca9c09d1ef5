// Detects when an exchange has ended, even if Node doesn't tell the response that its client has left.
import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'

export class Connections {
  /** For each connection, the callbacks of the responses that wait for their turn on it. They are called when the connection closes. */
  readonly #waiting = new WeakMap<Socket, Set<() => void>>()

  /** Calls `act` once, when the response is closed or can no longer be sent. */
  whenOver ({ raw, request: { raw: { socket } } }: FastifyReply, act: () => void): void {
    // A response that waits behind another one on the same connection has no socket yet (RFC 9112 section 9.3.2). When the client leaves,
    // Node closes only the responses that have a socket.
    const waiting = raw.socket === null ? this.#waitingOn(socket) : undefined
    const over = (): void => {
      waiting?.delete(over)
      raw.off('close', over)
      act()
    }
    raw.once('close', over)
    waiting?.add(over)
  }

  #waitingOn (socket: Socket): Set<() => void> {
    const known = this.#waiting.get(socket)
    if (known !== undefined) return known
    const waiting = new Set<() => void>()
    this.#waiting.set(socket, waiting)
    socket.once('close', () => { for (const over of waiting) over() })
    return waiting
  }
}
