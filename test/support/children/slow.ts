// A process with a free event loop: a relay to the server on a port, or the cache service. Either delays its responses.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { builtIns } from '../../../backends/index.js'
import { cacheService } from '../../../examples/cache-service/service.js'

const [lateMs = 0, port = 0] = process.argv.slice(2, 4).map(Number)
const token = process.argv[4] ?? ''

async function relay (): Promise<number> {
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    const end = (): void => { client.destroy(); upstream.destroy() }
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end)
    client.on('data', (bytes) => upstream.write(bytes))
    upstream.on('data', (bytes) => setTimeout(() => client.write(bytes), lateMs))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function service (): Promise<number> {
  const app = cacheService({ backend: await builtIns().open({ backend: 'memory' }), token, maxBodyBytes: 2 ** 20 })
  app.addHook('onRequest', async () => { await sleep(lateMs) })
  return Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port)
}

console.log(await (port === 0 ? service() : relay()))
