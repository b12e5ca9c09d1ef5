// What it costs Redis to tell many processes of a change: one PUBLISH, and a message to each connection that has subscribed.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Redis } from 'ioredis'
import { cpuUsBy, spentBy } from './redis-spent.js'

const CHANNEL = 'frc:changes'
const MESSAGE = ':GET shop.example /products/000000'
const CHANGES = 200

export interface FanOut {
  readonly processes: number
  /** For each change: the bytes that the server sends, and its CPU time. */
  readonly outBytes: number
  readonly cpuUs: number
}

export async function measureFanOut (port: number, server: Redis, processes: number): Promise<FanOut> {
  const sockets: Socket[] = []
  try {
    for (let count = 0; count < processes; count++) sockets.push(await subscribed(port))
    const publish = async (): Promise<void> => { for (let count = 0; count < CHANGES; count++) await server.publish(CHANNEL, MESSAGE) }
    const cpuUs = await cpuUsBy(server, CHANGES, publish)
    const { outBytes } = await spentBy(server, CHANGES, publish)
    return { processes, outBytes, cpuUs: Math.round(cpuUs) }
  } finally {
    for (const socket of sockets) socket.destroy()
  }
}

async function subscribed (port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`SUBSCRIBE ${CHANNEL}\r\n`)
  await once(socket, 'data')
  socket.resume()
  return socket
}
