// Payloads: what is returned of a stored body, and which streams can be read.
import { Readable } from 'node:stream'
import t from 'tap'
import { payloadOf, streamKind } from '../../response/serve/payload.js'
import type { ResponseHead } from '../../response/store/entry.js'

const HEAD: ResponseHead = { kind: 'response', key: 'k', status: 200, fields: [], storedAt: 0, freshUntil: 1, ageMs: 0, text: false }

t.test('returned bytes are a copy: changing them does not change the stored body', async (t) => {
  const body = Buffer.from('stored')
  const payload = payloadOf(HEAD, body, true) as Buffer
  payload.fill('x')
  for await (const chunk of payloadOf(HEAD, body, false) as Readable) (chunk as Buffer).fill('x')
  t.equal(body.toString(), 'stored')
  t.equal(payloadOf({ ...HEAD, text: true }, body, true), 'stored')
  t.equal(payloadOf(HEAD, Buffer.alloc(0), false), undefined)
})

t.test('a stream that is being read, or has ended, cannot be read', async (t) => {
  const web = new ReadableStream()
  t.equal(streamKind(web), 'web')
  web.getReader()
  t.equal(streamKind(web), undefined)
  const node = Readable.from(['x'])
  t.equal(streamKind(node), 'node')
  node.destroy()
  t.equal(streamKind(node), undefined)
  for (const other of [undefined, null, 'x', {}, Buffer.alloc(1)]) t.equal(streamKind(other), undefined)
})
