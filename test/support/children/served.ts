// An application in a process of its own, which answers what it is asked by message. Its clock may be another one.
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
