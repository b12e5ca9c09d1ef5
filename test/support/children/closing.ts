// A process with an application that caches: requests a route, closes the application or doesn't, and reports that. It ends by itself.
import Fastify from 'fastify'
import responseCache from '../../../plugin.js'
import type { BackendChoice } from '../../../registry/names.js'
import { Barrier } from '../barrier.js'
import { Chaos } from '../chaos.js'

/** The process's first argument, as JSON. */
export interface ClosingTask {
  readonly choice: BackendChoice<'memory' | 'sqlite' | 'tiered'>
  /** Absent: the application is closed. 'never': it is not closed. */
  readonly close?: 'never'
  /** How a method of the backend behaves from then on. */
  readonly chaos?: { readonly method: 'close' | 'get' | 'set', readonly command: 'throw' | 'reject' | 'hang' }
  /** A request is in its handler when the application is closed. */
  readonly inFlight?: true
}

export interface ClosingReport {
  readonly statuses: number[]
  readonly closeMs: number
  /** How long the process went on after the application was closed. */
  readonly lingeredMs: number
}

const { choice, close, chaos: trouble, inFlight } = JSON.parse(process.argv[2] as string) as ClosingTask
const chaos = new Chaos()
const barrier = new Barrier()
const app = Fastify()
const statuses: number[] = []
await app.register(responseCache, { ...chaos.over(choice), deadline: '50ms' })
app.get('/a', { config: { cache: { ttl: '1m', tags: ['news'] } } }, async () => 'a')
app.get('/slow', { config: { cache: { ttl: '1m' } } }, async () => {
  await barrier.pass()
  return 'slow'
})

async function ask (path: string): Promise<void> {
  const response = await fetch(`${address}${path}`, { headers: { connection: 'close' } })
  await response.text()
  statuses.push(response.status)
}

if (trouble !== undefined && trouble.method !== 'close') chaos[trouble.method][trouble.command]()
const address = close === 'never' ? '' : await app.listen({ port: 0, host: '127.0.0.1' })
if (close === 'never') {
  for (const url of ['/a', '/a']) statuses.push((await app.inject(url)).statusCode)
} else {
  await ask('/a')
}
if (trouble?.method === 'close') chaos.close[trouble.command]()

const slow = inFlight === undefined ? undefined : ask('/slow')
if (inFlight !== undefined) await barrier.reached()
const began = performance.now()
const closing = close === 'never' ? undefined : app.close()
barrier.open()
await Promise.all([slow, closing])
const closedAt = performance.now()
process.on('exit', () => {
  console.log(JSON.stringify({ statuses, closeMs: closedAt - began, lingeredMs: performance.now() - closedAt } satisfies ClosingReport))
})
