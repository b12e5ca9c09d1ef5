// Connections: when an exchange is over, also where a response is not told that its client has left.
import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'

export class Connections {
  /** What is to be called when a connection ends on which responses wait for their turn. */
  readonly #waiting = new WeakMap<Socket, Set<() => void>>()

  /** Calls `act` once, when the response is closed or can't be sent any more. */
  whenOver ({ raw, request: { raw: { socket } } }: FastifyReply, act: () => void): void {
    // RFC 9112 section 9.3.2: a response behind another one has no connection yet. When the client leaves, Node closes only those that
    // have.
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
