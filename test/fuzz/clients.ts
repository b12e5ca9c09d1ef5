// Clients that send what a plan says on one connection, and leave it where the plan says: HTTP/1.1 as bytes, HTTP/2 as streams.
import http2 from 'node:http2'
import net from 'node:net'
import { Duplex } from 'node:stream'
import { Responses, type Received } from './http1.js'
import type { Action, Asked, Cut } from './plan.js'
import type { Sent } from './world.js'

export interface Exchange {
  /** What came for each request, and what came beside it. Settles when the connection is closed. */
  readonly done: Promise<{ readonly responses: ReadonlyArray<Received | undefined>, readonly rest: Buffer }>
  /** Leaves at once. */
  destroy (): void
}

export type Connection = Pick<Extract<Action, { do: 'ask' }>, 'cut' | 'pieces'> & { readonly port: number, readonly sent: readonly Sent[] }

const methodOf = ({ asked, route }: Sent): string => asked.method ?? route.method

const bodyOf = ({ criteria }: Asked): string | undefined => criteria === undefined ? undefined : JSON.stringify({ criteria })

function fieldsOf ({ id, asked, tags }: Sent): Record<string, string> {
  const { forwarded, auth, sid, language, directive, range } = asked
  const body = bodyOf(asked)
  const fields = {
    'x-sent': id,
    'x-forwarded-host': forwarded,
    authorization: auth && `Bearer ${auth}`,
    cookie: sid && `sid=${sid}`,
    'accept-language': language,
    'cache-control': directive,
    range,
    'if-none-match': tags.ifNoneMatch,
    'if-match': tags.ifMatch,
    'if-range': tags.ifRange,
    'content-type': body && 'application/json',
    'content-length': body && String(body.length)
  }
  return Object.fromEntries(Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

export function overHttp1 ({ port, sent, cut, pieces = 1 }: Connection): Exchange {
  const bytes = Buffer.from(sent.map((one, at) => {
    const fields = { host: one.asked.host, ...fieldsOf(one), ...(at === sent.length - 1 ? { connection: 'close' } : {}) }
    const lines = [`${methodOf(one)} ${one.target} HTTP/1.1`, ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`)]
    return `${lines.join('\r\n')}\r\n\r\n${bodyOf(one.asked) ?? ''}`
  }).join(''))
  const responses = new Responses(sent.map(methodOf))
  const socket = cutting(net.connect(port, '127.0.0.1'),
    cut === undefined || !('sent' in cut) ? cut : { sent: Math.floor(cut.sent * bytes.byteLength) })
  const size = Math.ceil(bytes.byteLength / pieces)
  for (let at = 0; at < bytes.byteLength; at += size) socket.write(bytes.subarray(at, at + size))
  socket.on('data', (chunk: Buffer) => responses.push(chunk)).on('error', () => {})
  return {
    done: new Promise((resolve) => {
      socket.on('close', () => {
        const { rest } = responses.end()
        resolve({ responses: sent.map((_one, at) => responses.read[at]), rest })
      })
    }),
    destroy: () => { socket.destroy() }
  }
}

export function overHttp2 ({ port, sent, cut }: Connection): Exchange {
  // Of what an HTTP/2 client sends nobody knows beforehand how much it is.
  const bytes = cut !== undefined && 'sent' in cut ? { sent: Math.floor(cut.sent * 400 * sent.length) } : cut
  const session = http2.connect(`http://127.0.0.1:${port}`, { createConnection: () => cutting(net.connect(port, '127.0.0.1'), bytes) })
  session.on('error', () => {})
  const streams = sent.map(async (one) => await overStream(session, one, cut))
  const done = Promise.all(streams).then((responses) => {
    if (!session.destroyed) session.close()
    return { responses, rest: Buffer.alloc(0) }
  })
  return { done, destroy: () => { session.destroy() } }
}

async function overStream (session: http2.ClientHttp2Session, one: Sent, cut: Cut | undefined): Promise<Received | undefined> {
  return await new Promise((resolve) => {
    const body = bodyOf(one.asked)
    const stream = session.request({ ':method': methodOf(one), ':path': one.target, ':authority': one.asked.host, ...fieldsOf(one) },
      { endStream: body === undefined })
    const chunks: Buffer[] = []
    let fields: Record<string, string> | undefined
    let trailers = {}
    let hasEnded = false
    let bytes = 0
    stream.on('response', (came) => {
      fields = Object.fromEntries(Object.entries(came).map(([name, value]) => [name, String(value)]))
      if (cut !== undefined && 'stream' in cut && cut.stream < 100) stream.close(http2.constants.NGHTTP2_CANCEL)
    })
    stream.on('trailers', (came) => { trailers = came })
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      bytes += chunk.byteLength
      if (cut !== undefined && 'stream' in cut && bytes >= cut.stream) stream.close(http2.constants.NGHTTP2_CANCEL)
    })
    stream.on('end', () => { hasEnded = true })
    stream.on('error', () => {})
    stream.on('close', () => {
      resolve(fields && {
        status: Number(fields[':status']), fields, body: Buffer.concat(chunks), trailers, isWhole: hasEnded && stream.rstCode === 0
      })
    })
    if (body !== undefined) stream.end(body)
  })
}

/** A socket that breaks off after so many bytes in one direction. */
function cutting (socket: net.Socket, cut: Cut | undefined): Duplex {
  socket.on('error', () => {})
  if (cut === undefined || 'stream' in cut) return socket
  let left = 'sent' in cut ? cut.sent : cut.received
  const leave = (): void => {
    socket.destroy()
    outer.destroy()
  }
  const outer: Duplex = new Duplex({
    read () { socket.resume() },
    write (chunk: Buffer, _encoding, done) {
      if ('received' in cut) socket.write(chunk, done)
      else {
        // What was written before has left when this is called back.
        socket.write(chunk.subarray(0, left), () => left <= 0 ? leave() : done())
        left -= chunk.byteLength
      }
    },
    final (done) { socket.end(done) },
    destroy (err, done) {
      socket.destroy()
      done(err)
    }
  })
  socket.on('data', (chunk: Buffer) => {
    if ('received' in cut && chunk.byteLength >= left) {
      outer.push(chunk.subarray(0, left))
      return leave()
    }
    if ('received' in cut) left -= chunk.byteLength
    outer.push(chunk)
  }).on('end', () => outer.push(null)).on('close', () => outer.destroy())
  return outer
}
