// A free port for a server that is started later.
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'
import t, { type Test } from 'tap'
import { freePort } from '../../benchmarks/backends/free-port.js'

async function listening (t: Test, port: number): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return server
}

t.test('free port: a port with a listener is skipped', async (t) => {
  const port = await freePort()
  await listening(t, port + 1)
  t.ok(await freePort() > port + 1)
})

t.test('free port: neither the system nor the next call assigns the port again', async (t) => {
  const port = await freePort()
  t.not(await freePort(), port)
  const given = await Promise.all(Array.from({ length: 200 }, async () => ((await listening(t, 0)).address() as AddressInfo).port))
  const lowest = Math.min(...given)
  t.ok(port < lowest, `${port}, ${lowest}`, { skip: lowest < 32_768 ? 'this system assigns lower ports than others' : false })
  await listening(t, port)
})
