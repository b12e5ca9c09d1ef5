// Long paths: what it costs to invalidate one, and which responses that invalidates. No regular expression runs on a longer text than
// Fastify allows.
import Fastify, { type FastifyInstance, type FastifyServerOptions, type RouteHandlerMethod } from 'fastify'
import t, { type Test } from 'tap'
import responseCache, { builtIns, defineBackend, type InvalidatesFunction } from '../../../plugin.js'
import type { BackendChoice } from '../../../registry/names.js'
import { forEachBackend } from '../../support/app.js'
import { Chaos } from '../../support/chaos.js'
import { cached } from '../../support/document.js'
import { LONGEST_WORK_MS, workedMs } from '../../support/loop.js'

const onEachBackend = (name: string, run: Parameters<typeof forEachBackend>[1]): unknown =>
  t.test(name, async (t) => await forEachBackend(t, run))

/** Fastify runs it on at most 100 characters: its time grows with the cube of the length. */
const PATTERN = '/homes/:slug(^.+-.+-.+\\.html$)'
const LONG = `/homes/${'-'.repeat(800)}`

/** The least of three, since another process may have interfered. */
async function work (run: () => Promise<unknown>): Promise<number> {
  const took: number[] = []
  for (let times = 0; times < 3; times++) {
    const before = workedMs()
    await run()
    took.push(workedMs() - before)
  }
  return Math.min(...took)
}

const NAMED = ['location', 'content-location'] as const

const write = async (app: FastifyInstance, url: string, headers: Record<string, string>) =>
  await app.inject({ url, method: 'POST', headers })

const WAYS: Readonly<Record<string, (app: FastifyInstance, path: string) => Promise<unknown>>> = {
  'a write to it': async (app, path) => await app.inject({ url: path, method: 'POST' }),
  'a write to it with a query': async (app, path) => await app.inject({ url: `${path}?${path}`, method: 'POST' }),
  'a write with its path in Location': async (app, path) => await write(app, '/x', { 'x-location': path }),
  'a write with its path in Content-Location': async (app, path) => await write(app, '/x', { 'x-content-location': path }),
  'a write to a route that lists it': async (app, path) => await write(app, '/listed', { 'x-listed': path }),
  'invalidate({ url })': async (app, path) => await app.cache.invalidate({ url: path }),
  'invalidate({ url }) with an origin': async (app, path) => await app.cache.invalidate({ url: `http://a.example${path}` }),
  explain: async (app, path) => await app.cache.explain({ url: path })
}

/** A route for every write, a route that lists the path in `x-listed`, and the routes that `routes` adds. */
async function start (t: Test, on: object, routes: (app: FastifyInstance) => unknown, server: FastifyServerOptions = {}) {
  const app = Fastify(server)
  t.teardown(async () => await app.close())
  await app.register(responseCache, on)
  app.post('/*', async (request, reply) => {
    for (const name of NAMED) if (request.headers[`x-${name}`] !== undefined) reply.header(name, request.headers[`x-${name}`])
    return 'written'
  })
  const invalidates: InvalidatesFunction = (request) => [{ url: request.headers['x-listed'] as string }]
  app.post('/listed', { config: { cache: { invalidates } } }, async () => 'written')
  routes(app)
  await app.ready()
  return app
}

onEachBackend('a long path does not hold up the process if a cached route has a regular expression', async (t, on) => {
  const app = await start(t, on, (app) => { app.get(PATTERN, cached(), async () => 'home') })
  for (const [way, run] of Object.entries(WAYS)) {
    for (const path of [LONG, `${LONG}/`, LONG.replaceAll('-', '%2D'), `${LONG.slice(0, 120)}/${LONG}`]) {
      const took = await work(async () => await run(app, path))
      t.ok(took < LONGEST_WORK_MS, `${way}: ${took.toFixed(1)} ms for ${path.length} characters`)
    }
  }
})

onEachBackend('a path as long as requests allow does not hold up the process if there are many cached routes', async (t, on) => {
  const app = await start(t, on, (app) => {
    for (let at = 0; at < 500; at++) {
      app.get(`/:tenant/page-${at}`, cached(), async () => 'page')
      app.get(`/:tenant/of/:kind-:id/${at}`, cached(), async () => 'part')
    }
  })
  const longest = [
    `/a/${'%25'.repeat(4_500)}`, '/%25'.repeat(3_500), '/a'.repeat(7_000), '/'.repeat(14_000), `/a/of/${'-'.repeat(14_000)}/x`
  ]
  for (const path of longest) {
    for (const [way, run] of Object.entries(WAYS)) {
      const took = await work(async () => await run(app, path))
      t.ok(took < LONGEST_WORK_MS, `${way}: ${took.toFixed(1)} ms for ${path.slice(0, 12)}...`)
    }
  }
})

onEachBackend('a response is invalidated though its path is longer than maxParamLength here', async (t, { backend, options }) => {
  const shared = await builtIns().open({ backend, options } as BackendChoice)
  t.teardown(async () => await shared.close())
  const methods = (['get', 'set', 'delete', 'clear'] as const).map((name) => [name, (...args: [never, never]) => shared[name]!(...args)])
  const lent = defineBackend<object>({ name: 'lent', create: () => ({ ...Object.fromEntries(methods), close () {} }) })
  const registry = builtIns().add('lent' as never, () => lent as never)
  const routes = (app: FastifyInstance): void => {
    for (const url of ['/homes/:slug(^[a-z-]+$)', '/of/:one-:two', '/plain/:id']) app.get(url, cached(), async () => 'found')
  }
  const on = { backend: 'lent', options: {}, registry }
  const [one, other] = [await start(t, on, routes, { routerOptions: { maxParamLength: 1_000 } }), await start(t, on, routes)]
  const isHit = async (url: string): Promise<boolean> => String((await one.inject(url)).headers['cache-status']).includes('; hit')
  for (const path of ['/homes/', '/of/x-', '/plain/'].map((prefix) => prefix + 'a'.repeat(500))) {
    for (const [way, run] of Object.entries(WAYS)) {
      if (way === 'explain' || way.includes('query') || way.includes('origin')) continue
      await one.inject(path)
      t.ok(await isHit(path), `${way}: stored`)
      await run(other, path)
      t.notOk(await isHit(path), `${way}: ${path.slice(0, 12)}`)
    }
  }
})

t.test('a route whose regular expression does not match the path is not invalidated', async (t) => {
  const chaos = new Chaos()
  const app = await start(t, chaos.over({ backend: 'memory' }), (app) => {
    app.get('/:id(^\\d+$)', cached({ key: { headers: ['x-user'] } }), async () => 'number')
    app.get('/:name', cached(), async () => 'name')
  })
  // Invalidating the responses that are shared by all users takes the method `clear`.
  chaos.clear.reject()
  await app.cache.invalidate({ url: 'http://a.example/name' })
  await t.rejects(async () => await app.cache.invalidate({ url: 'http://a.example/1' }))
})

const OPTIONS: Readonly<Record<string, FastifyServerOptions>> = {
  none: {},
  maxParamLength: { maxParamLength: 20 },
  'routerOptions.maxParamLength': { routerOptions: { maxParamLength: 300 } },
  'maxParamLength beside other routerOptions': { maxParamLength: 300, routerOptions: { caseSensitive: false } },
  'both of them': { maxParamLength: 300, routerOptions: { maxParamLength: 20 } }
}

t.test('explain: a path that is too long for the application has no route, and any other has the route that Fastify chooses', async (t) => {
  for (const [name, options] of Object.entries(OPTIONS)) {
    const urls = ['/plain/:id', '/two/:one-:two', '/of/:slug(^[a-z]+$)', '/of/:any', '/rest/:id/*', '/last/:id?']
    const app = await start(t, { backend: 'memory', options: {} }, (app) => {
      const handler: RouteHandlerMethod = async (request, reply) => reply.header('x-route', request.routeOptions.url).send('found')
      for (const url of urls) app.get(url, cached(), handler)
    }, options)
    for (const length of [19, 20, 21, 41, 42, 100, 101, 201, 202, 300, 301, 601, 602]) {
      const text = 'a'.repeat(length)
      const halves = [text.slice(length / 2), text.slice(length / 2)].join('-')
      const paths = [
        `/plain/${text}`, `/plain/${'%C3%A4'.repeat(length)}`, `/two/${text}`, `/two/a-${text}`, `/two/${text}-${text}`, `/two/${halves}`,
        `/of/${text}`, `/rest/a/${text}`, `/rest/${text}/a`, `/last/${text}`
      ]
      for (const path of paths) {
        const { headers } = await app.inject(path)
        const expected = headers['x-route'] === undefined ? undefined : `GET ${String(headers['x-route'])}`
        t.equal((await app.cache.explain({ url: path })).route, expected, `${name}: ${path.slice(0, 20)}, ${length}`)
      }
    }
  }
})
