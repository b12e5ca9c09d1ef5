// A child process: a Fastify application with the cache on one backend. It reports the CPU time that it has used.
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import responseCache, { type ResponseCacheOptions } from 'fastify-response-cache'
import { handleCalls } from '../core/child.js'
import { registryFor, type BackendSource } from '../core/opened.js'
import { removePrivate } from '../core/private-folder.js'
import { KEY_PREFIX, valueOf } from '../core/workload.js'

export interface Serving {
  readonly source: BackendSource
  readonly valueBytes: number
  readonly tidies: boolean
  readonly privateFolder: string
}

// The lifetime of the entries. It is far longer than a run, but entries that can't be deleted still expire.
const TTL = '15m'

const app = Fastify({ exposeHeadRoutes: false })
let serving: Serving | undefined

async function start (given: Serving): Promise<number> {
  serving = given
  const { source, valueBytes } = given
  const body = valueOf(valueBytes, 0)
  // All routes have the same handler. They differ only in how they use the cache.
  const handler = async (_request: FastifyRequest, reply: FastifyReply): Promise<unknown> =>
    reply.header('content-type', 'application/json; charset=utf-8').send(body)
  await app.register(responseCache, {
    registry: registryFor(source),
    backend: source.backend,
    options: source.options,
    namespace: `${KEY_PREFIX}-${process.pid}`,
    deadline: '2s'
  } as unknown as ResponseCacheOptions)
  app.get('/floor/:id', handler)
  for (const path of ['/hit/:id', '/miss/:id']) app.get(path, { config: { cache: { ttl: TTL, maxBodyBytes: valueBytes } } }, handler)
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}

handleCalls({
  start,
  cpuUs () {
    const { user, system } = process.cpuUsage()
    return user + system
  }
}, async () => {
  try {
    // If the backend has no `clear`, the entries are left to expire.
    if (serving?.tidies === true && app.cache?.backend.powers.includes('clear')) await app.cache.clear()
  } finally {
    await app.close()
    if (serving !== undefined) removePrivate(serving.privateFolder)
  }
})
