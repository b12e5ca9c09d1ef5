// What a client receives of a handler's response: the payload as it is, unless the client's conditions select less.
import Fastify from 'fastify'
import t from 'tap'
import type { Conditions } from '../../response/http/conditional.js'
import { applyConditions } from '../../response/serve/conditional-reply.js'

const AT = Date.UTC(2031, 4, 6, 7, 8, 9)

async function delivered (payload: unknown, conditions: Conditions): Promise<{ given: unknown, status: number, fields: object }> {
  const app = Fastify()
  let came: unknown
  app.get('/', async (_request, reply) => {
    reply.headers({ etag: '"a"', 'content-type': 'text/plain', 'content-digest': 'c' })
    const given = applyConditions(reply, payload, { conditions, method: 'GET', at: AT, wholeOnly: false })
    came = { given, status: reply.statusCode, fields: { ...reply.getHeaders() } }
    return ''
  })
  await app.inject('/')
  await app.close()
  return came as Awaited<ReturnType<typeof delivered>>
}

t.test('without a condition the payload is not read', async (t) => {
  const payload = new Proxy(Buffer.from('0123456789'), { get () { throw new Error('it was read') } })
  for (const conditions of [{}, { 'if-range': '"a"' }]) t.equal((await delivered(payload, conditions)).given, payload)
})

t.test('a condition that selects the whole leaves the payload untouched', async (t) => {
  for (const payload of ['0123456789', Buffer.from('0123456789'), new Uint8Array(10)]) {
    for (const conditions of [{ 'if-none-match': '"b"' }, { range: 'items=0-1' }] as Conditions[]) {
      t.equal((await delivered(payload, conditions)).given, payload)
    }
  }
})

t.test('a 304 has no body, and no field that describes one', async (t) => {
  t.same(await delivered('0123456789', { 'if-none-match': '"a"' }), { given: undefined, status: 304, fields: { etag: '"a"' } })
})

t.test('a part is cut out of text and of bytes, also of bytes within a larger buffer', async (t) => {
  for (const payload of [
    '0123456789', Buffer.from('0123456789'), Uint8Array.from(Buffer.from('0123456789')), Buffer.from('xx0123456789xx').subarray(2, 12)
  ]) {
    const { given, status, fields } = await delivered(payload, { range: 'bytes=2-4' })
    t.equal(status, 206)
    t.equal((fields as Record<string, string>)['content-digest'], undefined, 'RFC 9530 section 2: it describes the whole')
    t.equal(String(given), '234')
  }
})
