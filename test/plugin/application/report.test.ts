// The report that the plugin writes to the log when the application is ready.
import cookie from '@fastify/cookie'
import session from '@fastify/session'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import responseCache from '../../../plugin.js'

async function logged (level: string, routes: (app: FastifyInstance) => unknown): Promise<Array<Record<string, any>>> {
  const lines: string[] = []
  const app = Fastify({ logger: { level, stream: { write: (line: string) => { lines.push(line) } } } })
  await app.register(responseCache)
  await routes(app)
  await app.ready()
  await app.close()
  return lines.map((line) => JSON.parse(line)).filter(({ msg }) => /^cache: /.test(msg))
}

t.test('report: every cached route has one line at debug level, in any scope', async (t) => {
  const lines = await logged('debug', (app) => {
    app.get('/a', { config: { cache: { ttl: '1m' } } }, async () => '')
    app.get('/none', async () => '')
    app.register(async (scope) => { scope.get('/b', { config: { cache: { ttl: '2m' } } }, async () => '') }, { prefix: '/v1' })
  })
  t.match(lines, [{ level: 20, route: 'GET /a', msg: /^cache: GET \/a: fresh .* 60 s/ }, { level: 20, route: 'GET /v1/b', msg: /120 s/ }])
  t.equal(lines.length, 2)
})

t.test('report: a likely mistake is a line at warn level', async (t) => {
  const lines = await logged('warn', async (app) => {
    await app.register(cookie)
    await app.register(session, { secret: 'a secret that is long enough, thirty-two' })
    app.get('/a', { config: { cache: true } }, async () => '')
    app.get('/b', { config: { cache: { ttl: 1, credentials: 'ignore' } } }, async () => '')
  })
  t.match(lines, [{ level: 40, routes: ['GET /a'], msg: /^cache: no ttl/ }, { level: 40, routes: ['GET /b'], msg: /@fastify\/session/ }])
  t.equal(lines.length, 2)
})

t.test('report: a correct route has no line at warn level', async (t) => {
  t.same(await logged('warn', (app) => { app.get('/a', { config: { cache: { ttl: 1 } } }, async () => '') }), [])
})
