// Streams for tests that produce their pieces when they are told to, and a route that sends them.
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { until } from './barrier.js'
import { cached } from './document.js'

/** A stream that produces its pieces when it is told to. */
export class Source {
  readonly stream = new Readable({ read: () => { this.wanted = true }, destroy: (err, done) => { this.isDestroyed = true; done(err) } })
  wanted = false
  isDestroyed = false

  push (piece: string | Buffer | null): void {
    this.wanted = false
    this.stream.push(piece)
  }
}

/** The route `/`. Each run of its handler sends a source; the first run waits for `made`. */
export function sources (options = {}, headers: Record<string, string> = {}) {
  const all: Source[] = []
  const routes = (app: FastifyInstance): void => {
    app.get('/', cached(options), async (_request, reply) => {
      const source = new Source()
      all.push(source)
      return await reply.headers({ 'content-type': 'application/x-ndjson', ...headers }).send(source.stream)
    })
  }
  return { all, routes, made: async (count = 1): Promise<Source> => { await until(() => all.length >= count); return all[count - 1]! } }
}
