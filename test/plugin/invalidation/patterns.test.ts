// An invalidation of a path reaches every cached route that Fastify's router finds for the path: patterns, paths and router options of
// all kinds.
import fc from 'fast-check'
import Fastify, { type FastifyInstance } from 'fastify'
import findMyWay from 'find-my-way'
import t, { type Test } from 'tap'
import responseCache from '../../../plugin.js'
import { forEachBackend } from '../../support/app.js'
import { cached } from '../../support/document.js'

const onEachBackend = (name: string, run: Parameters<typeof forEachBackend>[1]): unknown =>
  t.test(name, async (t) => await forEachBackend(t, run))

const TEXTS = [
  'a', 'A', 'ab', '-', '.json', 'a-b', '::', 'a::b', '%', '%41', '%2F', 'a(b)', '?', '\u03a3', '\u03c2', 'a\u03a3', '\u0130', 'b;', '@', ''
]
const PARAMETERS = [
  ':p', ':p(^a+$)', ':p(^[ab]*$)', ':p(^.*$)', ':p(a/b)', ':p(^(a|b)(a|b)$)', ':p(\\(a\\))', ':p(\\d+)', ':p?', ':p:q', ':p@x'
]
const VALUES = [
  'a', 'A', 'b', 'aa', 'ab', 'a-b', 'a.b', ':', '%3A', '%41', '%2F', 'a%2Fb', '%25', '%2541', '(a)', '%3F', '%CE%A3', '%CF%82', 'a%CE%A3b',
  '%C4%B0', '%C3%A4', ';', 'a;b', '12', 'bbbbbbbbbbbb', 'a-aaaaaaaaaa', '', '*'
]

interface Segment { readonly text: string, readonly pieces: ReadonlyArray<{ readonly parameter: string, readonly text: string }> }
interface Spec { readonly segments: readonly Segment[], readonly end: string }
/** How a path is made from a pattern: the values of its parameters, the encoding of its text, and its end. */
interface Filled { readonly values: readonly string[], readonly encode: keyof typeof ENCODINGS, readonly end: string }

const ENCODINGS = {
  plain: encodeURI,
  component: encodeURIComponent,
  lower: (text: string) => encodeURIComponent(text.toLowerCase()),
  upper: (text: string) => encodeURIComponent(text.toUpperCase()),
  bytes: (text: string) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
}

const patternOf = ({ segments, end }: Spec): string =>
  segments.map(({ text, pieces }) => `/${text}${pieces.map(({ parameter, text }) => parameter + text).join('')}`).join('') + end

function pathOf ({ segments }: Spec, { values, encode, end }: Filled): string {
  let at = 0
  const encoded = (text: string): string => ENCODINGS[encode](text.replaceAll('::', ':')).replaceAll('?', '%3F')
  const value = (): string => values[at++ % values.length]!
  return segments.map(({ text, pieces }) => `/${encoded(text)}${pieces.map(({ text }) => value() + encoded(text)).join('')}`).join('') + end
}

const piece = fc.record({ parameter: fc.constantFrom(...PARAMETERS), text: fc.constantFrom('', '', '', ...TEXTS) })
const segment = fc.record({ text: fc.constantFrom('', ...TEXTS), pieces: fc.oneof(fc.constant([]), fc.array(piece, { maxLength: 3 })) })
const spec: fc.Arbitrary<Spec> = fc.record({
  segments: fc.array(segment, { minLength: 1, maxLength: 4 }),
  end: fc.constantFrom('', '', '/', '*', '/*', '/:last?')
})
const filled: fc.Arbitrary<Filled> = fc.record({
  values: fc.array(fc.constantFrom('a', 'aa', 'ab', ...VALUES), { minLength: 1, maxLength: 6 }),
  encode: fc.constantFrom(...Object.keys(ENCODINGS) as Array<keyof typeof ENCODINGS>),
  end: fc.constantFrom('', '', '', '/', '//', 'a', '/a', ';x', '/a/b')
})
const routerOptions = fc.record({
  caseSensitive: fc.boolean(),
  ignoreTrailingSlash: fc.boolean(),
  ignoreDuplicateSlashes: fc.boolean(),
  useSemicolonDelimiter: fc.boolean(),
  maxParamLength: fc.constantFrom(3, 100)
})

/** The patterns that Fastify's router accepts. */
function accepted (specs: readonly Spec[], options: object): string[] {
  const router = findMyWay(options)
  return specs.map(patternOf).filter((pattern) => {
    try {
      router.on('GET', pattern, () => {})
      return true
    } catch {
      return false
    }
  })
}

const some = fc.array(fc.record({ spec, paths: fc.array(filled, { minLength: 4, maxLength: 8 }) }), { minLength: 1, maxLength: 4 })

onEachBackend('the response to a path is invalidated with the path, whatever the pattern and the options', async (t, on) => {
  let [runs, hits] = [0, 0]
  await fc.assert(fc.asyncProperty(some, routerOptions, async (given, routerOptions) => {
    const app = Fastify({ routerOptions })
    try {
      // One database for all runs. It is closed with each application, and still holds what earlier runs stored.
      await app.register(responseCache, { ...on, namespace: String(runs++) } as object)
      for (const pattern of accepted(given.map(({ spec }) => spec), routerOptions)) {
        app.get(pattern, cached(), async (request, reply) => { reply.header('x-path', request.raw.url!); return 'found' })
      }
      await app.ready()
      for (const path of given.flatMap(({ spec, paths }) => paths.map((filled) => pathOf(spec, filled)))) {
        const isHit = async (): Promise<boolean> => String((await app.inject(path)).headers['cache-status']).includes('; hit')
        const asked = (await app.inject(path)).headers['x-path']
        if (asked === undefined || !await isHit()) continue
        hits++
        await app.cache.invalidate({ url: String(asked) })
        if (await isHit()) throw new Error(`${path} is still stored`)
      }
    } finally {
      await app.close()
    }
  }), { numRuns: on.backend === 'memory' ? 150 : 40 })
  t.ok(hits > 40, `${hits} paths were stored`)
})

/** Invalidates every path by its URL and by a write to it. */
async function invalidates (
  t: Test, on: object, paths: readonly string[], routes: (app: FastifyInstance) => unknown, routerOptions: object = {}
): Promise<void> {
  const app = Fastify({ routerOptions })
  t.teardown(async () => await app.close())
  await app.register(responseCache, on)
  app.post('/*', async () => 'written')
  routes(app)
  for (const path of paths) {
    const isHit = async (): Promise<boolean> => String((await app.inject(path)).headers['cache-status']).includes('; hit')
    const ways = [async () => await app.cache.invalidate({ url: path }), async () => await app.inject({ url: path, method: 'POST' })]
    for (const invalidate of ways) {
      await app.inject(path)
      t.ok(await isHit(), `${path} is stored`)
      await invalidate()
      t.notOk(await isHit(), `${path} is invalidated`)
    }
  }
}

onEachBackend('a path is invalidated whatever the lower case of its letters, if case matters', async (t, on) => {
  await invalidates(t, on, ['/\u0130/of', '/\u0130/aa', '/\u039f\u03a3abc'].map(encodeURI), (app) => {
    for (const url of ['/:name/of', '/\u0130/:id(^a+$)', '/\u039f\u03a3:name']) app.get(url, cached(), async () => 'found')
  })
})

onEachBackend('a path is invalidated whatever follows its sigma, which has two lower cases, if case does not matter', async (t, on) => {
  await invalidates(t, on, ['/a\u03a3-1', '/A\u03c2-1'].map(encodeURI), (app) => {
    app.get('/a\u03a3:name', cached(), async () => 'found')
  }, { caseSensitive: false })
})

onEachBackend('a route with and without a trailing slash is invalidated by both paths, also below a prefix with a regular expression',
  async (t, on) => {
    await invalidates(t, on, ['/plain', '/plain/', '/de', '/de/'], (app) => {
      for (const prefix of ['/plain', '/:lang(^[a-z]{2}$)']) {
        app.register(async (scope) => { scope.get('/', cached(), async () => 'found') }, { prefix })
      }
    })
  })
