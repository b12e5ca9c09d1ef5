// A process whose application is asked for one key by many at once, on each backend of its argument; tells how often its handler ran.
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
    return 'the answer'
  })
  await app.ready()
  console.log('ready')
  await once(told, 'data')
  const answers = await Promise.all(Array.from({ length: AT_ONCE }, async () => await app.inject('/')))
  const right = answers.filter(({ statusCode, body }) => statusCode === 200 && body === 'the answer').length
  // What another process stored meanwhile is as good as what this one did.
  await app.inject('/')
  const status = String((await app.inject('/')).headers['cache-status'])
  console.log(JSON.stringify({ runs, right, status }))
  await once(told, 'data')
  await app.close()
}
told.destroy()
