// An application that names the backend; it is loaded when it is first asked for.
import Fastify from 'fastify'
import responseCache, { builtIns } from 'fastify-response-cache'
import type {} from './index.js'

const [path = 'cache.json'] = process.argv.slice(2)
const registry = builtIns().add('json-file', () => import('./index.js').then((module) => module.default))
console.log(registry.names().join(' '))

const app = Fastify()
await app.register(responseCache, { registry, backend: 'json-file', options: { path } })
app.get('/', { config: { cache: { ttl: '1m', tags: ['all'] } } }, async () => 'response')

console.log(app.cache.backend.name, app.cache.backend.powers.join())
for (let time = 0; time < 2; time++) console.log((await app.inject('/')).headers['cache-status'])
await app.cache.invalidate('all')
console.log((await app.inject('/')).headers['cache-status'])
await app.close()

await registry.open({ backend: 'json-file', options: { path: '' } }).catch((err: { code: string, message: string }) => {
  console.log(err.code, err.message)
})
