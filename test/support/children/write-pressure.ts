// A process that invalidates, deletes and clears while ten concurrent clients fill its cache. Arguments: folder of the backend file,
// duration in milliseconds, rounds.
import { writeSync } from 'node:fs'
import Fastify from 'fastify'
import responseCache from '../../../plugin.js'

const [dir = '', ms = '', rounds = ''] = process.argv.slice(2)
const CLIENTS = 10

const app = Fastify()
await app.register(responseCache, { backend: 'file', options: { dir } })
app.get('/:id', { config: { cache: { ttl: '1h', tags: ['all'] } } }, async (request) => ({
  id: (request.params as { id: string }).id, padding: 'p'.repeat(2_000)
}))
await app.ready()

let next = 0
const over = new AbortController()
const client = async (): Promise<void> => {
  while (!over.signal.aborted) {
    await app.inject({ url: `/${next++}` })
    await new Promise(setImmediate)
  }
}
const clients = Array.from({ length: CLIENTS }, client)
await new Promise((resolve) => setTimeout(resolve, Number(ms)))

const failures: string[] = []
const changes: ReadonlyArray<() => Promise<unknown>> = [
  () => app.cache.invalidate('all'),
  () => app.cache.invalidate({ url: '/1' }),
  () => app.cache.delete('key'),
  () => app.cache.clear()
]
for (let round = 0; round < Number(rounds); round++) {
  for (const change of changes) await change().catch((error: unknown) => { failures.push(String(error)) })
}
over.abort()
await Promise.all(clients)
const { misses, stores, errors } = await app.cache.stats()
await app.close()
writeSync(1, JSON.stringify({ failures, misses, stores, errors }))
