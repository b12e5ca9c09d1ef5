// What the functions in `config.cache` receive: requests and replies of their route, by its generics or by its schema.
import type { JsonSchemaToTsProvider } from '@fastify/type-provider-json-schema-to-ts'
import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type {} from '../plugin.js'

const app = Fastify()
const take = (..._values: unknown[]): void => {}

app.get<{ Params: { id: string }, Querystring: { page: number } }>('/products/:id', {
  config: {
    cache: {
      ttl: '1m',
      tags: (request, reply) => {
        // @ts-expect-error a number
        take(request.query.page.toUpperCase(), reply.statusCode)
        return [`product:${request.params.id.toUpperCase()}`]
      },
      key: { by: (request) => request.params.id.toUpperCase() },
      invalidates: (request) => [`page:${request.query.page.toFixed()}`],
      when: (request, reply, payload) => request.params.id.length > 0 && reply.statusCode === 200 && payload !== undefined
    }
  }
}, async (request) => ({ id: request.params.id, page: request.query.page.toFixed() }))

app.route<{ Params: { id: string } }>({
  method: 'GET',
  url: '/a/:id',
  config: {
    cache: {
      // @ts-expect-error an unknown parameter
      tags: (request) => [request.params.other]
    }
  },
  handler: async () => 'a'
})
app.route<{ Params: { id: string } }>({
  method: 'GET', url: '/a/:id', config: { cache: { tags: (request) => [request.params.id] } }, handler: async (request) => request.params.id
})

// Without generics, and without a function, nothing changes.
app.get('/plain', { config: { cache: { ttl: '1m' } } }, async (request) => request.id.length)
app.get('/switch', { config: { cache: true } }, async () => 'a')
app.get('/none', { config: {} }, async () => 'a')
app.get('/handler', { config: { cache: { ttl: '1m' } }, handler: async () => 'a' })
app.get<{ Params: { id: string } }>('/handler/:id', {
  config: { cache: { tags: (request) => [request.params.id] } }, handler: async (request) => request.params.id
})

// A duration with an unknown unit is refused where the route is declared.
// @ts-expect-error a word for the unit
app.get('/minute', { config: { cache: { ttl: '1 minute' } } }, async () => 'a')
app.get('/duration', { config: { cache: { ttl: '1.5h' } } }, async (_request, reply) => {
  reply.cache({ ttl: '250ms' })
  // @ts-expect-error a word for the unit
  reply.cache({ ttl: '1 minute' })
  await app.cache.set('key', 'value', { ttl: '1.5h' })
  // @ts-expect-error a word for the unit
  await app.cache.set('key', 'value', { ttl: '1 minute' })
})

// Type providers: from the route's schema.
const schema = { params: Type.Object({ id: Type.String() }), querystring: Type.Object({ page: Type.Number() }) }
app.withTypeProvider<TypeBoxTypeProvider>().get('/typebox/:id', {
  schema,
  config: { cache: { tags: (request) => [request.params.id.toUpperCase(), request.query.page.toFixed()] } }
}, async (request) => request.params.id.toUpperCase())
app.withTypeProvider<TypeBoxTypeProvider>().get('/typebox-wrong/:id', {
  schema,
  config: {
    cache: {
      // @ts-expect-error a number
      tags: (request) => [request.query.page.toUpperCase()]
    }
  }
}, async (request) => request.params.id.toUpperCase())
app.withTypeProvider<TypeBoxTypeProvider>().route({
  method: 'GET',
  url: '/typebox-route/:id',
  schema,
  config: { cache: { key: { by: (request) => request.params.id.toUpperCase() } } },
  handler: async (request) => request.params.id.toUpperCase()
})

app.withTypeProvider<ZodTypeProvider>().get('/zod/:id', {
  schema: { params: z.object({ id: z.string() }), querystring: z.object({ page: z.number() }) },
  config: {
    cache: { tags: (request) => [request.params.id.toUpperCase(), request.query.page.toFixed()], when: (request) => request.query.page > 1 }
  }
}, async (request) => request.params.id.toUpperCase())

app.withTypeProvider<JsonSchemaToTsProvider>().get('/json-schema/:id', {
  schema: { params: { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] } as const },
  config: { cache: { tags: (request) => [request.params.id.toUpperCase()] } }
}, async (request) => request.params.id.toUpperCase())
