// One of several processes, or threads, that share a store: an application on a port of its own, and its cache is told what to do.
import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import responseCache, { type GetOrSetOptions, type ResponseCacheOptions } from '../../../plugin.js'
import { Barrier } from '../barrier.js'
import { Chaos } from '../chaos.js'
import type { Behaviour, PeerCall, PeerSetup, Point } from '../peers.js'
import { LISTED_IDS, placeOf, tagOf, type PeerRoute } from '../peer-ways.js'
import { SharedData } from '../shared-data.js'

const { choice, options, cache, folder } = JSON.parse(workerData as string | null ?? process.argv[2] as string) as PeerSetup
const data = new SharedData(folder)
const chaos = new Chaos()
let barrier = new Barrier()
let behaviour: Behaviour = {}
let runs = 0
const warnings: string[] = []

const stream = { write: (line: string) => { warnings.push((JSON.parse(line) as { msg: string }).msg) } }
const app = Fastify({ logger: { level: 'warn', stream }, forceCloseConnections: true })
await app.register(responseCache, { ...options, ...chaos.over(choice) } as unknown as ResponseCacheOptions)

const tell = (what: object): unknown => parentPort === null ? process.send!(what) : parentPort.postMessage(what)

/** What every handler and every producer does. */
async function work (route: PeerRoute, id: string): Promise<number> {
  const name = `/${route}/${id}`
  const number = data.read(placeOf(route, Number(id)))
  const run = runs++
  data.note({ what: 'began', name, number, run })
  const { ms, holds, fails } = behaviour
  if (holds === true) {
    tell({ event: 'reached' })
    await barrier.pass()
  }
  if (ms !== undefined) await sleep(ms)
  data.note({ what: 'ended', name, number, run })
  if (fails === true) throw new Error('the handler fails')
  return number
}

type Params = { id: string }

const serve = (path: string, route: PeerRoute, more: object = {}): void => {
  app.get(path, { config: { cache: { ...cache, ...more } } }, async (request, reply) => {
    const id = (request.params as Partial<Params>).id ?? path.split('-').at(-1)!
    reply.headers(behaviour.fields ?? {})
    if (route === 'reply') reply.cache({ tags: [tagOf(route, id)] })
    return { number: await work(route, id) }
  })
}
serve('/plain/:id', 'plain')
for (let id = 0; id < LISTED_IDS; id++) serve(`/listed-${id}`, 'listed', { tags: [tagOf('listed', id)] })
serve('/function/:id', 'function', { tags: ({ params }: { params: Params }) => [tagOf('function', params.id)] })
serve('/reply/:id', 'reply')
serve('/keyed/:id', 'keyed', { key: ({ params }: { params: Params }) => `keyed-${params.id}` })
app.post('/plain/:id', async () => 'done')
for (const route of ['value', 'tagged-value'] as const) {
  app.get(`/${route}/:id`, async ({ params }) => {
    const { id } = params as Params
    const kept: GetOrSetOptions = { ttl: (cache as { ttl: '1m' }).ttl, ...(route === 'tagged-value' && { tags: [tagOf(route, id)] }) }
    return await app.cache.getOrSet(`${route}-${id}`, kept, async () => ({ number: await work(route, id) }))
  })
}

/** Whether a call has come to the point. A renewal is a claim with a token and a lease. */
function isAt (point: Point, option: unknown): boolean {
  const { token, leaseMs } = option as { token?: string, leaseMs?: number }
  return point === 'settle' || (point === 'renew') === (token !== undefined && leaseMs !== 0)
}

/** At the next such call, this process gets the signal as soon as the call has been sent. */
function signalAt (point: Point, signal: NodeJS.Signals): void {
  const method = point === 'settle' ? chaos.settle : chaos.claim
  method.instead((act, _key, option) => {
    if (!isAt(point, option)) return act()
    method.heal()
    const result = act()
    // Commands and batches are sent at the end of the turn.
    setImmediate(() => setImmediate(() => process.kill(process.pid, signal)))
    return result
  })
}

const calls: Record<string, (...values: any[]) => unknown> = {
  behave: (to: Behaviour) => { behaviour = to },
  open: () => { barrier.open(); barrier = new Barrier() },
  signalAt,
  invalidate: (target) => app.cache.invalidate(target),
  clear: () => app.cache.clear(),
  delete: (key) => app.cache.delete(key),
  set: (key, value, kept) => app.cache.set(key, value, kept),
  stats: () => app.cache.stats(),
  warnings: () => warnings,
  calls: () => ({ claim: chaos.claim.calls.length, settle: chaos.settle.calls.length, version: chaos.version.calls.length }),
  close: async () => {
    const began = performance.now()
    await app.close()
    return performance.now() - began
  },
  disconnect: () => {
    process.off('disconnect', exit)
    setImmediate(() => process.disconnect())
  }
}

// If the test is killed, nobody else ends this process.
const exit = (): void => process.exit()
process.once('disconnect', exit)

const channel = parentPort ?? process
channel.on('message', async ({ id, name, values }: PeerCall) => {
  try {
    tell({ id, result: await calls[name]!(...values) })
  } catch (err) {
    tell({ id, failure: String(err) })
  }
})
await app.listen({ host: '127.0.0.1', port: 0, exclusive: true } as { port: number })
tell({ event: 'ready', port: (app.server.address() as AddressInfo).port })
