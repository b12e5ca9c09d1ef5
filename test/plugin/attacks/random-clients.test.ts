// Random clients, many at once: languages, encodings, users, conditions and ranges. Each receives what the handler sends it without the
// cache, whole or as the 304 or part that its own conditions ask for.
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'
import { turns } from '../../support/barrier.js'
import type { ClientResponse } from '../../support/client.js'
import { seeded } from '../../support/seeded.js'
import { sized } from '../../support/size.js'

/** On each of two backends. */
const ROUNDS = sized(1_000)
const AT_ONCE = 10

t.setTimeout(300_000)

const LANGUAGES = ['de', 'en', 'fr'] as const
const CODINGS = ['gzip', 'identity'] as const
const KINDS = ['varies', 'user', 'private', 'plain'] as const
const USERS = ['alice', 'bob'] as const
const MODIFIED = 'Mon, 03 Mar 2031 00:00:00 GMT'

const etagOf = (body: string): string => `"${Buffer.from(body).toString('base64url').slice(0, 40)}"`

/** Routes whose responses vary, are for one user, are not shareable, or break off; as text or as a stream in pieces. */
function routes (app: FastifyInstance, isCached: boolean, random: () => number): void {
  const kinds = {
    varies: { fields: ['accept-language', 'accept-encoding'], cache: { ttl: '1m' } },
    user: { fields: ['accept-language'], cache: { ttl: '1m', key: { by: ({ headers }: { headers: object }) => String(userOf(headers)) } } },
    private: { fields: ['accept-language'], cache: { ttl: '1m' } },
    plain: { fields: [], cache: { ttl: '2s', staleWhileRevalidate: '2s', keep: '1m' } }
  } as const
  for (const [name, { fields, cache }] of Object.entries(kinds)) {
    app.get(`/${name}/:id`, { config: { cache: cache as { ttl: '1m' } } }, async ({ headers, params }, reply) => {
      const { id } = params as { id: string }
      const body = [name, id, ...fields.map((field) => headers[field]), ...(name === 'user' ? [userOf(headers)] : [])].join(' ').repeat(3)
      if (isCached) await turns(Math.floor(random() * 4))
      reply.type('text/plain').headers({ etag: etagOf(body), 'last-modified': MODIFIED })
      if (fields.length > 0) reply.header('vary', fields.join())
      if (name === 'private' && headers['accept-language'] === 'de') reply.header('cache-control', 'private')
      if (!isCached || random() < 0.5) return body
      return Readable.from((async function * () {
        for (let at = 0; at < body.length; at += 16) {
          if (random() < 0.3) await turns(1)
          yield Buffer.from(body.slice(at, at + 16))
        }
      })())
    })
  }
}

const userOf = (headers: object): unknown => (headers as Record<string, unknown>)['x-user']

/** What is wrong with a response; undefined if nothing is. `whole` is the response without the cache and without conditions. */
function wrongWith (headers: Record<string, string>, response: ClientResponse, whole: ClientResponse): string | undefined {
  const { status, text, headers: { 'content-range': range, etag } } = response
  if (etag !== undefined && etag !== whole.headers.etag) return `another version: ${etag}`
  if (status === 200) return text === whole.text ? undefined : `another body: ${text}`
  if (status === 304) {
    const { 'if-none-match': tag, 'if-modified-since': since } = headers
    const isAsked = tag === undefined ? since === MODIFIED : tag === whole.headers.etag
    return isAsked && text === '' ? undefined : 'a 304 that was not asked for'
  }
  if (status === 206) {
    const [, first, last, length] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range as string) ?? []
    const part = whole.body.subarray(Number(first), Number(last) + 1)
    const isOf = headers['if-range'] === undefined || headers['if-range'] === whole.headers.etag
    const isRight = headers.range !== undefined && isOf && response.body.equals(part) && Number(length) === whole.body.byteLength
    return isRight ? undefined : `another part: ${text}`
  }
  return `status ${status}`
}

t.test('among random concurrent clients, nobody receives what is meant for another', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const random = seeded(1_717)
    const one = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
    const app = await build(t, { ...on, deadline: '5s', compare: false, routes: (app, { cached }) => routes(app, cached, random) })
    const wrong: string[] = []
    const tags = new Map<string, string>()
    let collapsed = 0
    for (let round = 0; round < ROUNDS; round++) {
      const kinds = [one(KINDS), one(KINDS)]
      await Promise.all(Array.from({ length: AT_ONCE }, async () => {
        const url = `/${one(kinds)}/${round % 7}`
        const about = { 'accept-language': one(LANGUAGES), 'accept-encoding': one(CODINGS), 'x-user': one(USERS) }
        const known = tags.get(JSON.stringify([url, about])) ?? '"none"'
        const conditions = one([
          {}, {}, { 'if-none-match': known }, { 'if-none-match': '"other"' }, { 'if-modified-since': MODIFIED }, { range: 'bytes=3-9' },
          { range: 'bytes=-5' }, { range: 'bytes=0-4', 'if-range': known }, { 'cache-control': 'no-cache' }
        ]) as Record<string, string>
        const headers = { ...about, ...conditions }
        const via = one(['inject', 'socket'] as const)
        const [response, whole] = await Promise.all([
          app.ask({ url, headers, via }),
          app.control.inject({ url, headers: about }).then(({ statusCode, headers, payload, rawPayload }) =>
            ({ status: statusCode, headers, text: payload, body: rawPayload }) as unknown as ClientResponse)
        ])
        tags.set(JSON.stringify([url, about]), String(whole.headers.etag))
        if (response.cacheStatus.includes('collapsed')) collapsed++
        const what = wrongWith(headers, response, whole)
        if (what !== undefined) wrong.push(`${url} ${JSON.stringify(headers)} ${response.cacheStatus}: ${what}`)
      }))
      if (random() < 0.5) await app.clock.pass(one([3_000, 70_000]))
      if (random() < 0.05) await app.cache.clear()
    }
    t.same(wrong, [])
    t.ok(collapsed > ROUNDS, `${collapsed} of ${ROUNDS * AT_ONCE} were collapsed`)
  })
})
