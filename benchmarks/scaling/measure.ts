// `npm run bench:scaling`: measures what the cache costs a redis-server, and writes its tables into docs/scaling.md. The simulation uses
// the bytes that were measured.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { builtIns } from 'fastify-response-cache'
import { startRedis } from '../backends/servers.js'
import { machine } from '../core/machine.js'
import { measureFanOut, type FanOut } from './fan-out.js'
import { measureOperations } from './operations.js'
import { MEASURED, PAGE, withMeasured, type Measured } from './page.js'
import { figureIn } from './redis-spent.js'
import { measureMemory, measureRequests } from './requests.js'

const FAN_OUTS = [10, 100, 1000]

/** Measures everything on this server. */
async function measure (port: number, server: Redis): Promise<Measured> {
  const url = `redis://127.0.0.1:${port}`
  const backend = await builtIns().open({ backend: 'redis', options: { url } })
  const operations = await measureOperations(backend, server)
  await backend.close()
  await server.flushall()
  const { requests, connections } = await measureRequests(url, server)
  const memory = await measureMemory(server)
  const fanOut: FanOut[] = []
  for (const processes of FAN_OUTS) fanOut.push(await measureFanOut(port, server, processes))
  const { node, cpu, cores } = machine()
  const info = await server.info('server')
  const redis = /^redis_version:(\S+)/m.exec(info)?.[1] ?? String(figureIn(info, 'redis_version'))
  return { machine: { node, cpu, cores, redis }, connections, operations, requests, memory, fanOut }
}

const folder = mkdtempSync(join(tmpdir(), 'bench-scaling-'))
const { redis, port } = await startRedis(folder)
const require = createRequire(import.meta.url)
const { Redis: Client } = createRequire(require.resolve('@fastify/redis'))('ioredis') as { Redis: new (port: number) => Redis }
const server = new Client(port)
try {
  const measured = await measure(port, server)
  writeFileSync(MEASURED, `${JSON.stringify(measured, undefined, 2)}\n`)
  writeFileSync(PAGE, withMeasured(readFileSync(PAGE, 'utf8'), measured))
} finally {
  server.disconnect()
  redis.kill()
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
}
