// The HTTP backend's wire format is that of version 0.1.0, byte for byte, because the service may be older or newer.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import t, { type Test } from 'tap'
import { listen, openHttp, serve, stub, TOKEN } from '../support/http.js'

const VALUE = Buffer.from('a\0\xff value', 'latin1')
const EXPIRES_AT = 1_999_999_999_999

/** Keys, their digests, and the body that carries VALUE for each. */
const ENTRIES = [
  {
    key: 'key',
    digest: '2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683',
    body: 'YQD/IHZhbHVlLHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM='
  },
  {
    key: '\ud800',
    digest: '1b18f23af3291fa7aaf6450a6e927d8414326b406d651a634411f3c228c80b2e',
    body: 'YQD/IHZhbHVlGxjyOvMpH6eq9kUKbpJ9hBQya0BtZRpjRBHzwijICy4='
  }
]

const WRITER = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\/(\d+)$/

/** A server that responds to every request with these bytes. */
async function responding (t: Test, head: string, body: Buffer): Promise<string> {
  const server = createServer((socket) => {
    socket.on('data', () => socket.write(Buffer.concat([Buffer.from(head.replaceAll('\n', '\r\n'), 'latin1'), body])))
  })
  return `http://127.0.0.1:${await listen(t, server)}`
}

/** Sends these bytes to a server, and returns its response. */
async function exchanged (baseUrl: string, head: string, body: Buffer): Promise<string> {
  const socket = connect(Number(new URL(baseUrl).port), '127.0.0.1')
  socket.end(Buffer.concat([Buffer.from(head.replaceAll('\n', '\r\n'), 'latin1'), body]))
  let response = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => { response += chunk })
  await once(socket, 'close')
  return response
}

t.test('http: an entry sent by the service of 0.1.0 is read', async (t) => {
  for (const { key, body } of ENTRIES) {
    const bytes = Buffer.from(body, 'base64')
    const baseUrl = await responding(t, `HTTP/1.1 200 OK
cache-control: no-store
cache-expires-at: ${EXPIRES_AT}
content-type: application/octet-stream
content-length: ${bytes.length}
Date: Tue, 06 May 2031 07:08:09 GMT
Connection: keep-alive
Keep-Alive: timeout=72

`, bytes)
    const backend = await openHttp(t, { baseUrl, authToken: TOKEN })
    t.same(await backend.get(key), { value: VALUE, expiresAt: EXPIRES_AT })
  }
})

t.test('http: requests are the same as those of 0.1.0, field for field', async (t) => {
  const service = await stub(t, (response) => response.writeHead(404).end())
  const backend = await service.open({ maxRetries: 0 })
  for (const { key, digest, body } of ENTRIES) {
    service.seen.length = 0
    await t.rejects((async () => await backend.set(key, { value: VALUE, expiresAt: EXPIRES_AT }))())
    await backend.get(key)
    await backend.delete(key)
    const seen = service.seen.map(({ method, url, headers: { host, connection, ...fields }, body }) => ({
      method, url, fields, body: body.toString('base64')
    }))
    const always = { 'accept-encoding': 'identity', authorization: `Bearer ${TOKEN}` }
    const url = `/cache/${digest}`
    t.match(seen[0]?.fields['cache-change'], WRITER)
    t.strictSame(seen, [
      {
        method: 'PUT',
        url,
        fields: {
          ...always,
          'cache-change': seen[0]?.fields['cache-change'],
          'cache-expires-at': String(EXPIRES_AT),
          'content-type': 'application/octet-stream',
          'content-length': '41'
        },
        body
      },
      { method: 'GET', url, fields: always, body: '' },
      { method: 'DELETE', url, fields: { ...always, 'cache-change': seen[2]?.fields['cache-change'] }, body: '' }
    ])
    const [set, deleted] = [seen[0], seen[2]].map((one) => Number(WRITER.exec(String(one?.fields['cache-change']))?.[1]))
    t.equal(deleted, set! + 1, 'changes are numbered')
  }
})

t.test('cache service: a request of 0.1.0 is accepted, and gets the same response as then', async (t) => {
  const { baseUrl, open } = await serve(t, { now: () => EXPIRES_AT - 60_000 })
  for (const { key, digest, body } of ENTRIES) {
    const bytes = Buffer.from(body, 'base64')
    const fields = `host: 127.0.0.1\nconnection: close\naccept-encoding: identity\nauthorization: Bearer ${TOKEN}\n`
    const put = await exchanged(baseUrl, `PUT /cache/${digest} HTTP/1.1
${fields}cache-change: 6e5cb1c4-7f8f-4b52-9f0e-1d3a5c7e9b11/1
cache-expires-at: ${EXPIRES_AT}
content-type: application/octet-stream
content-length: ${bytes.length}

`, bytes)
    t.match(put, /^HTTP\/1\.1 204 /)
    t.same(await (await open()).get(key), { value: VALUE, expiresAt: EXPIRES_AT })
    const got = await exchanged(baseUrl, `GET /cache/${digest} HTTP/1.1\n${fields}\n`, Buffer.alloc(0))
    t.match(got, /^HTTP\/1\.1 200 OK\r\n/)
    t.match(got, new RegExp(`\r\ncache-expires-at: ${EXPIRES_AT}\r\n`))
    t.equal(Buffer.from(got.slice(got.indexOf('\r\n\r\n') + 4), 'latin1').toString('base64'), body)
  }
})
