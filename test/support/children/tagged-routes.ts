// One of several applications over a shared last tier. It responds with the version in a file, and invalidates on request.
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import responseCache, { type InvalidationTarget, type ResponseCacheOptions } from '../../../plugin.js'

const [options = '', version = ''] = process.argv.slice(2)
const app = Fastify({ forceCloseConnections: true })
await app.register(responseCache, JSON.parse(options) as ResponseCacheOptions)
const read = async (): Promise<object> => ({ version: readFileSync(version, 'utf8') })
app.get('/plain', { config: { cache: { ttl: '1h' } } }, read)
app.get('/listed', { config: { cache: { ttl: '1h', tags: ['listed'] } } }, read)
app.get('/named', { config: { cache: { ttl: '1h' } } }, async (_request, reply) => {
  reply.cache({ tags: ['named'] })
  return await read()
})
app.post('/invalidate', async ({ body }, reply) => {
  await app.cache.invalidate(body as InvalidationTarget)
  return await reply.code(204).send()
})
console.log(await app.listen({ host: '127.0.0.1', port: 0 }))
