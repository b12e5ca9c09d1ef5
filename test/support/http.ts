// Helpers for tests of the HTTP backend: the real service, services that misbehave, and backends on them.
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { inspect } from 'node:util'
import type { Test } from 'tap'
import { builtIns, type HttpOptions } from '../../backends/index.js'
import { cacheService } from '../../examples/cache-service/service.js'
import { sealed } from '../../backends/http/codec.js'
import type { CacheBackend, StoredEntry } from '../../registry/backend.js'
import { nameOf, storedKey } from '../../registry/codec.js'
import type { BackendChoice } from '../../registry/names.js'

export const TOKEN = 'a-token-for-the-tests-only'

/** Opens the backend http. It is closed when the test ends. */
export async function openHttp (t: Test, options: HttpOptions, now: () => number = Date.now): Promise<CacheBackend> {
  const backend = await builtIns().open({ backend: 'http', options }, { now })
  t.teardown(() => backend.close())
  return backend
}

/** The real service on a free port, with a backend behind it. */
export async function serve (t: Test, { behind = { backend: 'memory' } as BackendChoice, now = Date.now, maxBodyBytes = 2 ** 26 } = {}) {
  const backend = await builtIns().open(behind, { now })
  const app = cacheService({ backend, token: TOKEN, maxBodyBytes })
  const baseUrl = await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(async () => {
    await app.close()
    await backend.close()
  })
  return {
    app, backend, baseUrl, open: (options: Partial<HttpOptions> = {}) => openHttp(t, { baseUrl, authToken: TOKEN, ...options }, now)
  }
}

/** Listens on a free port. Connections that are open at the end of the test are closed. Returns the port. */
export async function listen (t: Test, server: Server): Promise<number> {
  const sockets = new Set<{ destroy (): void }>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

/** A request that a test's service received. */
export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** A service that responds as the test says. `seen` lists the requests, in the order in which they came. */
export async function stub (t: Test, respond: (response: ServerResponse, seen: Seen, number: number) => unknown) {
  const seen: Seen[] = []
  const server = createServer(async (request, response) => {
    response.on('error', () => {})
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const one = { method: request.method!, url: request.url!, headers: request.headers, body: Buffer.concat(chunks) }
    seen.push(one)
    await respond(response, one, seen.length - 1)
  })
  const baseUrl = `http://127.0.0.1:${await listen(t, server)}`
  return { seen, baseUrl, open: (options: Partial<HttpOptions> = {}) => openHttp(t, { baseUrl, authToken: TOKEN, ...options }) }
}

export const NEVER_AT = Number.MAX_SAFE_INTEGER

/** An entry that does not expire. */
export const entry = (text: string): StoredEntry => ({ value: Buffer.from(text), expiresAt: NEVER_AT })

/** Sends the response of a correct service to a GET of `key`. */
export function good (response: ServerResponse, key: string, text: string, expiresAt = NEVER_AT): void {
  response.writeHead(200, { 'cache-expires-at': String(expiresAt) }).end(sealed(Buffer.from(text), nameOf(storedKey(key))))
}

/** The error of `call`, and everything that a log could show of it. */
export async function failureOf (call: () => unknown): Promise<{ code: string, message: string, shown: string }> {
  try {
    await call()
  } catch (error) {
    const { code, message } = error as { code: string, message: string }
    return {
      code,
      message,
      shown: `${inspect(error, { depth: 9, showHidden: true, getters: true })} ${JSON.stringify(error)} ${String((error as Error).stack)}`
    }
  }
  throw new Error('there was no error')
}
