// An application in a process of its own that receives requests as messages. Its clock may differ.
import Fastify from 'fastify'
import responseCache, { type ResponseCacheOptions } from '../../../plugin.js'

const app = Fastify()
await app.register(responseCache, JSON.parse(process.argv[2] as string) as ResponseCacheOptions)
app.get('/:id', { config: { cache: { ttl: '1m' } } }, async () => `${process.pid}`)
await app.ready()

process.on('message', async (url: string) => {
  const { headers } = await app.inject(url)
  process.send!(headers['cache-status'])
})
process.once('disconnect', () => { app.close() })
process.send!('ready')
