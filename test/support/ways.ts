// The ways by which a hit reaches its client: straight to the socket, through onSend hooks, over HTTP/2. A test runs by each, on each backend.
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { databasePath } from './app.js'
import type { Ask } from './client.js'

export interface Way {
  readonly name: string
  /** For `build`: the backend, and the kind of server. */
  readonly on: { backend: string, options: object, fastify: { http2?: boolean } }
  /** For `ask`. */
  readonly via: Exclude<Ask['via'], undefined>
  /** Whether the application has an onSend hook of its own. */
  readonly isHooked: boolean
  /** Adds that hook, where there is one. */
  hook (app: FastifyInstance): void
}

/** memory and sqlite have an entry at once, file has it later. */
const OPTIONS: Readonly<Record<string, (t: Test) => object>> = {
  memory: () => ({}),
  sqlite: (t) => ({ path: databasePath(t) }),
  file: (t) => ({ dir: databasePath(t) })
}

export async function forEachWay (t: Test, run: (t: Test, way: Way) => Promise<unknown>, backends = ['memory', 'sqlite']): Promise<void> {
  for (const backend of backends) {
    for (const via of ['socket', 'h2'] as const) {
      for (const isHooked of [false, true]) {
        const name = `${via === 'h2' ? 'over HTTP/2' : 'over HTTP/1.1'}, ${isHooked ? 'through an onSend hook' : 'without onSend hooks'}`
        await t.test(`on ${backend}, ${name}`, async (t) => {
          const hook = (app: FastifyInstance): void => { if (isHooked) app.addHook('onSend', async (_request, _reply, payload) => payload) }
          await run(t, { name, on: { backend, options: OPTIONS[backend]!(t), fastify: { http2: via === 'h2' } }, via, isHooked, hook })
        })
      }
    }
  }
}
