// The ways in which a hit reaches its client: directly to the socket, through onSend hooks, over HTTP/2. A test runs once for each way
// and backend.
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { Registry } from '../../registry/registry.js'
import { databasePath } from './app.js'
import { Chaos } from './chaos.js'
import type { Ask } from './client.js'

export interface Way {
  readonly name: string
  /** For `build`: the backend, and the kind of server. */
  readonly on: { backend: string, options?: object, registry?: Registry, fastify: { http2?: boolean } }
  /** For `ask`. */
  readonly via: Exclude<Ask['via'], undefined>
  /** Whether the application has its own onSend hook. */
  readonly isHooked: boolean
  /** Adds that hook, if there is one. */
  hook (app: FastifyInstance): void
}

/** The backends of `build`. The named ones return entries synchronously, and 'later' returns them in a later turn. */
const ON: Readonly<Record<string, (t: Test) => { backend: string, options?: object, registry?: Registry }>> = {
  memory: () => ({ backend: 'memory' }),
  sqlite: (t) => ({ backend: 'sqlite', options: { path: databasePath(t) } }),
  later: () => {
    const chaos = new Chaos()
    chaos.get.later()
    return chaos.over({ backend: 'memory' })
  }
}

export async function forEachWay (t: Test, run: (t: Test, way: Way) => Promise<unknown>, backends = ['memory', 'sqlite']): Promise<void> {
  for (const backend of backends) {
    for (const via of ['socket', 'h2'] as const) {
      for (const isHooked of [false, true]) {
        const name = `${via === 'h2' ? 'over HTTP/2' : 'over HTTP/1.1'}, ${isHooked ? 'through an onSend hook' : 'without onSend hooks'}`
        await t.test(`on ${backend}, ${name}`, async (t) => {
          const hook = (app: FastifyInstance): void => { if (isHooked) app.addHook('onSend', async (_request, _reply, payload) => payload) }
          await run(t, { name, on: { ...ON[backend]!(t), fastify: { http2: via === 'h2' } }, via, isHooked, hook })
        })
      }
    }
  }
}
