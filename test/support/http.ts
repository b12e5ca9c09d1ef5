// What the tests of the HTTP backend share: the real service, services that misbehave, and backends on them.
import { once } from 'node:events'
import type { AddressInfo, Server } from 'node:net'
import type { Test } from 'tap'
import { builtIns, type HttpOptions } from '../../backends/index.js'
import { cacheService } from '../../examples/cache-service/service.js'
import type { CacheBackend } from '../../registry/backend.js'
import type { BackendChoice } from '../../registry/names.js'

export const TOKEN = 'a-token-for-the-tests-only'

/** Opens the backend http; closed when the test ends. */
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
  return { app, backend, baseUrl, open: (options: Partial<HttpOptions> = {}) => openHttp(t, { baseUrl, authToken: TOKEN, ...options }, now) }
}

/** Listens on a free port; what is connected at the end of the test is cut off. Answers the port. */
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
