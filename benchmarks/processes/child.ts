// One of the four processes of the benchmark: an application on a port of its own. It reports its runs, and its calls to the backend.
import { setTimeout as sleep } from 'node:timers/promises'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import responseCache, { builtIns, defineBackend, type CacheBackend, type ResponseCacheOptions } from 'fastify-response-cache'

/** The argument of the process, as JSON. */
export interface Setup {
  readonly choice: { readonly backend: 'sqlite' | 'redis' | 'file', readonly options: object }
  readonly handlerMs: number
}

/** What happened since the last report: runs of the handler, and calls of the backend. */
export interface Counts {
  readonly runs: number
  readonly claims: number
  readonly settles: number
}

const { choice, handlerMs } = JSON.parse(process.argv[2] as string) as Setup
let counts = { runs: 0, claims: 0, settles: 0 }

/** Counts calls of a backend. */
function counting (backend: CacheBackend): CacheBackend {
  const { claim, settle } = backend
  if (claim === undefined || settle === undefined) return backend
  return Object.assign(backend, {
    claim (...values: Parameters<typeof claim>) {
      counts.claims++
      return claim.apply(backend, values)
    },
    settle (...values: Parameters<typeof settle>) {
      counts.settles++
      return settle.apply(backend, values)
    }
  })
}

const counted = defineBackend({
  name: 'counted', create: async (_options: object, context) => counting(await context.open(choice as never))
})
const app = Fastify({ forceCloseConnections: true })
await app.register(responseCache, {
  registry: builtIns().add('counted' as 'memory', () => counted), backend: 'counted' as 'memory', deadline: '5s'
} as ResponseCacheOptions)
app.get('/:id', { config: { cache: { ttl: '10m' } } }, async () => {
  counts.runs++
  await sleep(handlerMs)
  return { at: Date.now() }
})
await app.listen({ host: '127.0.0.1', port: 0 })
process.on('message', () => {
  process.send!(counts satisfies Counts)
  counts = { runs: 0, claims: 0, settles: 0 }
})
process.on('disconnect', () => process.exit())
process.send!({ port: (app.server.address() as AddressInfo).port })
