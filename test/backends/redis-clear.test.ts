// clear of very many entries on Redis: as fast as SCAN and UNLINK allow, with requests served meanwhile, and complete in the end.
import t from 'tap'
import { build } from '../support/app.js'
import { startServer, type RedisServer } from '../support/redis-server.js'
import { startRelay } from '../support/redis-relay.js'
import { openRedis } from '../support/redis.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

const FILL = "for at = 1, tonumber(ARGV[1]) do redis.call('SET', KEYS[1] .. at, 'value', 'PX', 3600000) end"

async function callsOf (server: RedisServer, command: string): Promise<number> {
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await server.admin.info('commandstats'))?.[1] ?? 0)
}

t.test('redis: clear of 200 000 entries takes a few hundred commands, and gets return meanwhile', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url, prefix: 'ours:' })
  await server.admin.eval(FILL, 1, 'ours:', 200_000)
  await server.admin.eval(FILL, 1, 'other:', 1_000)
  const waits: number[] = []
  const cleared = new AbortController()
  let removed = 0
  const cpu = process.cpuUsage()
  const beganAt = performance.now()
  const clearing = (async () => { await backend.clear('', { onProgress: (entries) => { removed += entries } }) })().finally(() => {
    cleared.abort()
  })
  while (!cleared.signal.aborted) {
    const askedAt = performance.now()
    await backend.get('none')
    waits.push(performance.now() - askedAt)
    await new Promise((resolve) => { setTimeout(resolve, 1) })
  }
  await clearing
  const tookMs = performance.now() - beganAt
  const { user, system } = process.cpuUsage(cpu)
  waits.sort((a, b) => a - b)
  t.comment(
    `${tookMs.toFixed(0)} ms, ${((user + system) / 1_000).toFixed(0)} ms of this process, ${waits.length} gets, p50 ${waits[waits.length >> 1]}, p99 ${waits[Math.floor(waits.length * 0.99)]}`)
  t.ok(removed >= 200_000)
  t.equal(await server.admin.dbsize(), 1_000)
  t.ok(waits.length >= 20, `${waits.length} gets`)
  t.ok(await callsOf(server, 'unlink') + await callsOf(server, 'scan') <= 1_000)
})

t.test('redis: clear resolves when it is complete, however long its steps take together', async (t) => {
  const server = await startServer(t)
  await server.admin.ping()
  const relay = await startRelay(t, server, 60)
  const { cache } = await build(t, { backend: 'redis', options: { connection: { host: '127.0.0.1', port: relay.port } }, routes () {} })
  const [key] = await (async () => {
    await cache.set('key', 'value', { ttl: 60 })
    return await server.admin.keys('frc:*')
  })()
  await server.admin.eval(FILL, 1, key!, 30_000)
  const beganAt = performance.now()
  await cache.clear()
  t.ok(performance.now() - beganAt > 2_000, 'longer than the guard waits for one step')
  t.equal(await server.admin.dbsize(), 0)
})
