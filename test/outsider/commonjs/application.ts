// An application in CommonJS: compiled in each module mode in which TypeScript has CommonJS, and with type providers.
import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import responseCache, {
  builtIns, defineBackend, rfc9111, type BackendChoice, type BackendDefinition, type CacheBackend, type Registry, type RouteCacheOptions
} from 'fastify-response-cache'
import cache = require('fastify-response-cache')
import { conformance, type ConformanceSubject } from 'fastify-response-cache/test-kit'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'

const app = Fastify()
void app.register(responseCache, { backend: 'memory', options: { maxBytes: 5 } })
void app.register(cache, { backend: 'memory' })
void app.register(cache.responseCache, { backend: 'memory' })
// @ts-expect-error an unknown option
void app.register(cache, { bakend: 'memory' })
void app.cache.invalidate('a')

app.get<{ Params: { id: string } }>('/generics/:id', { config: { cache: { ttl: '1m', tags: (request) => [request.params.id] } } }, async () => 'x')
app.withTypeProvider<TypeBoxTypeProvider>().get('/typebox/:id', {
  schema: { params: Type.Object({ id: Type.String() }) },
  config: { cache: { tags: (request) => [request.params.id.toUpperCase()] } }
}, async (request) => request.params.id.toUpperCase())
app.withTypeProvider<ZodTypeProvider>().get('/zod/:id', {
  schema: { params: z.object({ id: z.string() }) },
  config: { cache: { key: { by: (request) => request.params.id.toUpperCase() } } }
}, async (request) => request.params.id.toUpperCase())

interface NothingOptions { path: string }
const options: RouteCacheOptions = { ...rfc9111, ttl: '1m' }
const choice: BackendChoice = { backend: 'sqlite' }
const definition: BackendDefinition<NothingOptions> = defineBackend<NothingOptions>({
  name: 'nothing', create: ({ path }): CacheBackend => ({ get: () => undefined, set () { path.trim() }, delete () {}, close () {} })
})
const registry: Registry = builtIns()
const subject: ConformanceSubject = { now: Date.now, pass: async () => {}, open: async () => await registry.open(choice) }
export const outcomes = conformance.map((c) => c.run(subject))
export { options, definition }
