// An application in CommonJS: compiled in each module mode in which TypeScript has CommonJS, and with type providers.
import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import responseCache, {
  builtIns, defineBackend, rfc9111, type BackendChoice, type BackendDefinition, type BackendOptions, type CacheBackend, type Duration,
  type Registry, type RouteCacheOptions
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

// A duration has a number and a unit.
export const durations: Duration[] = ['250ms', '1.5h', 60]
app.get('/duration', { config: { cache: { ttl: '1.5h', staleIfError: 60 } } }, async (_request, reply) => { reply.cache({ ttl: '250ms' }) })
// @ts-expect-error a word for the unit
app.get('/minute', { config: { cache: { ttl: '1 minute' } } }, async () => 'x')
// @ts-expect-error a word for the unit
void app.register(cache, { deadline: '1 minute' })
// @ts-expect-error a word for the unit
export const minute: cache.Duration = '1 minute'

// A backend of this file's own, under a name that it declares.
interface NothingOptions { path: string }
declare module 'fastify-response-cache' {
  interface BackendOptions { nothing: NothingOptions }
}
const options: RouteCacheOptions = { ...rfc9111, ttl: '1m' }
const choice: BackendChoice = { backend: 'sqlite' }
const definition: BackendDefinition<NothingOptions> = defineBackend<NothingOptions>({
  name: 'nothing', create: ({ path }): CacheBackend => ({ get: () => undefined, set () { path.trim() }, delete () {}, close () {} })
})
const registry: Registry = builtIns().add('nothing', () => definition)
// @ts-expect-error another backend's definition
builtIns().add('memory', () => definition)
void app.register(cache, { registry, backend: 'nothing', options: { path: 'a' } })
// @ts-expect-error a required option is missing
void app.register(cache, { registry, backend: 'nothing' })
export const choices: BackendChoice[] = [
  { backend: 'nothing', options: { path: 'a' } },
  { backend: 'memory', options: { maxBytes: 5 } },
  // @ts-expect-error an option of the wrong type
  { backend: 'nothing', options: { path: 5 } },
  // @ts-expect-error a name that nobody declared
  { backend: 'nothin' }
]
export const optionsOf: BackendOptions['nothing'] & cache.BackendOptions['memory'] = { path: 'a', maxBytes: 5 }
const subject: ConformanceSubject = { now: Date.now, pass: async () => {}, open: async () => await registry.open(choice) }
export const outcomes = conformance.map((c) => c.run(subject))
export { options, definition }
