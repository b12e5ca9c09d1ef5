// A process that sends its application concurrent requests for one key, on each backend of its argument. Prints how often its handler ran.
import { once } from 'node:events'
import Fastify from 'fastify'
import responseCache, { type ResponseCacheOptions } from '../../../plugin.js'

const AT_ONCE = 50

const choices = JSON.parse(process.argv[2] as string) as ResponseCacheOptions[]
const told = process.stdin.setEncoding('utf8')
for (const choice of choices) {
  const app = Fastify()
  await app.register(responseCache, { ...choice, deadline: '5s' })
  let runs = 0
  app.get('/', { config: { cache: { ttl: '1m' } } }, async () => {
    runs++
    await new Promise((resolve) => setTimeout(resolve, 200))
    return 'the response'
  })
  await app.ready()
  console.log('ready')
  await once(told, 'data')
  const responses = await Promise.all(Array.from({ length: AT_ONCE }, async () => await app.inject('/')))
  const right = responses.filter(({ statusCode, body }) => statusCode === 200 && body === 'the response').length
  // A response that another process stored meanwhile is as good as one that this process stored.
  await app.inject('/')
  const status = String((await app.inject('/')).headers['cache-status'])
  console.log(JSON.stringify({ runs, right, status }))
  await once(told, 'data')
  await app.close()
}
told.destroy()
