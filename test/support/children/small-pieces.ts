// A process whose cached route sends a stream of very many pieces to a client, as the tests' own process would not: tap's hooks need memory
// for each promise. Prints how much memory is held before the last piece, and what a second request receives. Arguments: options, kind.
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import Fastify from 'fastify'
import responseCache from '../../../plugin.js'
import { Barrier, until } from '../barrier.js'
import { usedBytes } from '../oracles.js'

const PIECES = 150_000
const TEXT = 'piece by piece '
const [options = '', kind = ''] = process.argv.slice(2)
const last = new Barrier()

async function * pieces (): AsyncGenerator<Uint8Array> {
  const source = Buffer.alloc(PIECES, TEXT)
  for (let at = 0; at < PIECES; at++) {
    if (at === PIECES - 1) await last.pass()
    yield source.subarray(at, at + 1)
  }
}

function webStream (): ReadableStream<Uint8Array> {
  const source = pieces()
  return new ReadableStream({
    async pull (controller) {
      const { done, value } = await source.next()
      if (done === true) controller.close()
      else controller.enqueue(value)
    }
  }, { highWaterMark: 0 })
}

const app = Fastify()
await app.register(responseCache, JSON.parse(options))
app.get('/', { config: { cache: { ttl: '1m' } } }, async (_request, reply) =>
  await reply.type('text/plain').send(kind === 'web' ? webStream() : Readable.from(pieces(), { objectMode: false })))
await app.listen()
const { port } = app.server.address() as AddressInfo
const before = usedBytes()
// A client that keeps nothing.
const [response] = await once(request({ port, host: '127.0.0.1', agent: false }).end(), 'response') as [IncomingMessage]
let receivedBytes = 0
response.on('data', (piece: Buffer) => { receivedBytes += piece.length })
await last.reached()
// What the sockets hold doesn't count.
await until(() => receivedBytes === PIECES - 1)
const heldBytes = usedBytes() - before
last.open()
await once(response, 'end')
const second = await app.inject({ url: '/', headers: { host: `127.0.0.1:${port}` } })
console.log(JSON.stringify({
  heldBytes, cacheStatus: second.headers['cache-status'], isWhole: second.rawPayload.equals(Buffer.alloc(PIECES, TEXT))
}))
await app.close()
