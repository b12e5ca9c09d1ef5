// A process that repeats one thing very often and reports what is left: `heapBytes`, `timers`, `files`, `listeners`.
import { readdirSync } from 'node:fs'
import http from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import Fastify from 'fastify'
import responseCache, { type ResponseCacheOptions } from '../../../plugin.js'
import { Chaos } from '../chaos.js'
import { sized } from '../size.js'

export interface LeaksReport {
  /** Growth between the first tenth and the end. */
  readonly heapBytes: number
  readonly timers: number
  readonly files: number
  readonly listeners: number
}

type Choice = Parameters<Chaos['over']>[0]
const [task, choiceText] = process.argv.slice(2) as [string, string]
const choice = JSON.parse(choiceText) as Choice

function used (): number {
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const count = (what: string): number => process.getActiveResourcesInfo().filter((name) => name === what).length
const files = (): number => process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0
const listeners = (): number => process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)

/** Repeats `act`, and measures after the first tenth and at the end. */
async function measured (times: number, act: (at: number) => unknown): Promise<LeaksReport> {
  let before = { heap: 0, timers: 0, files: 0, listeners: 0 }
  for (let at = 0; at < times; at++) {
    if (at === times / 10) {
      await turn()
      before = { heap: used(), timers: count('Timeout'), files: files(), listeners: listeners() }
    }
    await act(at)
  }
  await new Promise((resolve) => setTimeout(resolve, 300))
  return {
    heapBytes: used() - before.heap,
    timers: count('Timeout') - before.timers,
    files: files() - before.files,
    listeners: listeners() - before.listeners
  }
}

/** Callbacks for when the handler of `/never/:id` runs, by id. */
const asked = new Map<string, () => void>()

/** Chaos records every call, so it is used only where there are few. */
async function server (chaos?: Chaos) {
  const app = Fastify()
  await app.register(responseCache, { ...(chaos?.over(choice) ?? choice), deadline: '5ms', lockTimeout: '20ms' } as ResponseCacheOptions)
  app.get('/a/:id', { config: { cache: { ttl: '1m', tags: ['news'] } } }, async (request) => request.params)
  app.get<{ Params: { id: string } }>('/never/:id', { config: { cache: { ttl: '1m' } } }, async ({ params }) => {
    asked.get(params.id)?.()
    await new Promise(() => {})
  })
  return app
}

/** Sends a request, and disconnects while the handler runs. */
async function leave (port: number, id: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const request = http.get({ host: '127.0.0.1', port, path: `/never/${id}`, agent: false })
    asked.set(id, () => request.destroy(new Error('left')))
    request.on('error', () => resolve())
  })
  asked.delete(id)
}

const TASKS: Record<string, () => Promise<LeaksReport>> = {
  async invalidations () {
    const app = await server()
    const report = await measured(sized(1_000), async (at) => await Promise.all(Array.from({ length: 100 }, async (_, one) =>
      await app.cache.invalidate(one % 2 === 0 ? { key: `${at} ${one}` } : { url: `http://localhost:80/a/${at}-${one}` }))))
    await app.close()
    return report
  },
  async outage () {
    const chaos = new Chaos()
    const app = await server(chaos)
    chaos.each((method) => method.hang())
    const report = await measured(sized(500), async (at) =>
      await Promise.all(Array.from({ length: 20 }, async (_, one) => await app.inject(`/a/${at}-${one}`))))
    chaos.each((method) => method.release())
    await app.close()
    return report
  },
  async aborted () {
    const app = await server()
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as { port: number }
    const report = await measured(sized(100), async (at) =>
      await Promise.all(Array.from({ length: 100 }, async (_, one) => await leave(port, `${at}-${one}`))))
    await app.close()
    return report
  },
  async lives () {
    return await measured(sized(500), async (at) => {
      const app = await server()
      if (at % 10 === 0) await app.inject('/a/1')
      else await app.ready()
      await app.close()
    })
  },
  async entries () {
    const app = await server()
    const report = await measured(sized(100), async (at) =>
      await Promise.all(Array.from({ length: 100 }, async (_, one) => await app.inject(`/a/${at}-${one}`))))
    await app.close()
    return report
  }
}

console.log(JSON.stringify(await TASKS[task]!()))
