// A process with a cache on Redis that ends by itself. Arguments: the backend's options as JSON, way.
import Fastify from 'fastify'
import responseCache from '../../../plugin.js'

const [options = '', way = ''] = process.argv.slice(2)
const app = Fastify()
await app.register(responseCache, { backend: 'redis', options: JSON.parse(options), deadline: '2s' })
app.get('/', { config: { cache: { ttl: '1m' } } }, async () => 'response')
for (let time = 0; time < 2; time++) console.log((await app.inject('/')).headers['cache-status'])
const closingAt = performance.now()
if (way === 'close') await app.close()
process.once('exit', () => console.log(`ended after ${Math.round(performance.now() - closingAt)} ms`))
