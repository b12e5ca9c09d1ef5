// Clients for tests: a request as written, over a socket, HTTP/2 or inject, and the response as received.
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { cert } from './certificate.js'

export interface Ask {
  url: string
  method?: string
  headers?: Record<string, string | string[]>
  body?: string | Buffer
  /** How it is sent; 'socket' is node:http, which sends the target unchanged. */
  via?: 'socket' | 'inject' | 'h2'
  /** Disconnects after this many bytes of the body. */
  leaveAfterBytes?: number
  /** Called when the head of the response, and each piece of its body, has arrived. */
  onProgress?: (bytes: number) => void
}

export interface ClientResponse {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly body: Buffer
  readonly text: string
  readonly trailers: Record<string, string | undefined>
  /** The informational responses before it. */
  readonly hints: number[]
  /** False if the connection ended before the response did. */
  readonly whole: boolean
  readonly tookMs: number
  readonly cacheStatus: string
  /** Whether it came from the cache. */
  readonly hit: boolean
  json (): any
}

type Raw = Pick<ClientResponse, 'status' | 'headers'> & Partial<Pick<ClientResponse, 'trailers' | 'whole' | 'hints'>> & { chunks: Buffer[] }

/** The host name in requests to both applications, whatever their ports. */
export const HOST = 'test.example'

export async function send (app: FastifyInstance, ask: Ask): Promise<ClientResponse> {
  const startedAt = performance.now()
  const raw = await (ask.via === 'inject' ? byInject(app, ask) : ask.via === 'h2' ? byHttp2(app, ask) : bySocket(app, ask))
  const body = Buffer.concat(raw.chunks)
  const cacheStatus = String(raw.headers['cache-status'] ?? '')
  return {
    trailers: {},
    whole: true,
    hints: [],
    ...raw,
    body,
    cacheStatus,
    text: body.toString(),
    tookMs: performance.now() - startedAt,
    hit: /; (hit|collapsed)\b|fwd=miss; collapsed/.test(cacheStatus),
    json: () => JSON.parse(body.toString())
  }
}

/** Sends raw bytes, and returns everything that is received until the server closes the connection, so the request must ask for that. */
export async function sendBytes (app: FastifyInstance, bytes: string | Buffer): Promise<string> {
  const port = await portOf(app)
  return await new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = net.connect(port, '127.0.0.1', () => { socket.write(bytes) })
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', reject)
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
  })
}

const listening = new WeakMap<FastifyInstance, Promise<number>>()

/** The port on which the application listens. Starts listening if it does not yet. */
export function portOf (app: FastifyInstance): Promise<number> {
  const known = listening.get(app)
  if (known !== undefined) return known
  const port = app.listen({ port: 0, host: '127.0.0.1' }).then(() => (app.server.address() as net.AddressInfo).port)
  listening.set(app, port)
  return port
}

/** Whether it is served over TLS, with the certificate of these tests. */
const isEncrypted = (app: FastifyInstance): boolean => app.server instanceof tls.Server

async function bySocket (
  app: FastifyInstance, { url, method = 'GET', headers = {}, body, leaveAfterBytes, onProgress }: Ask
): Promise<Raw> {
  const port = await portOf(app)
  return await new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: url, method, headers: { host: HOST, ...headers }, agent: false }
    const request = isEncrypted(app) ? https.request({ ...options, ca: cert, servername: 'localhost' }) : http.request(options)
    const hints: number[] = []
    request.on('information', ({ statusCode }) => hints.push(statusCode))
    request.on('upgrade', (response, socket) => {
      socket.destroy()
      resolve({ status: response.statusCode as number, headers: response.headers, chunks: [] })
    })
    request.on('error', reject)
    request.on('response', (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      onProgress?.(0)
      const end = (): void => resolve({
        status: response.statusCode as number,
        headers: response.headers,
        trailers: response.trailers,
        chunks,
        hints,
        whole: response.complete
      })
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        bytes += chunk.byteLength
        onProgress?.(bytes)
        if (leaveAfterBytes !== undefined && bytes >= leaveAfterBytes) request.destroy()
      })
      response.on('error', () => {})
      response.on('close', end)
    })
    request.end(body)
  })
}

async function byInject (app: FastifyInstance, { url, method = 'GET', headers = {}, body }: Ask): Promise<Raw> {
  const response = await app.inject({
    url, method: method as 'GET', headers: { host: HOST, ...headers }, ...(body !== undefined && { payload: body })
  } as InjectOptions)
  return {
    status: response.statusCode,
    headers: response.headers as ClientResponse['headers'],
    chunks: [response.rawPayload],
    trailers: response.trailers
  }
}

async function byHttp2 (app: FastifyInstance, { url, method = 'GET', headers = {}, body }: Ask): Promise<Raw> {
  const port = await portOf(app)
  return await new Promise((resolve, reject) => {
    const session = http2.connect(`${isEncrypted(app) ? 'https' : 'http'}://127.0.0.1:${port}`, { ca: cert, servername: 'localhost' })
    session.on('error', reject)
    const stream = session.request({ ':path': url, ':method': method, ':authority': HOST, ...headers }, { endStream: body === undefined })
    let head: http2.IncomingHttpHeaders = {}
    const chunks: Buffer[] = []
    let trailers = {}
    stream.on('response', (headers) => { head = headers })
    stream.on('trailers', (headers) => { trailers = headers })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', () => {})
    stream.on('close', () => {
      session.close()
      const { ':status': status, ...headers } = head as Record<string, string> & { ':status'?: string }
      resolve({ status: Number(status), headers, chunks, trailers, whole: stream.rstCode === 0 })
    })
    if (body !== undefined) stream.end(body)
  })
}
