// A document with a version and an ETag, on a route that is cached for a minute.
import type { FastifyInstance } from 'fastify'
import type { RouteCacheOptions } from '../../plugin.js'
import type { Probe } from './app.js'

/** Route options of a route that is cached for a minute. */
export const cached = (cache: RouteCacheOptions = {}) => ({ config: { cache: { ttl: '1m', ...cache } satisfies RouteCacheOptions } })

/** A document with a version: a handler that evaluates conditional requests, like one that forwards to an origin. */
export class Document {
  version = 1
  /** The conditions that its handler received. */
  readonly asked: Array<string | undefined> = []
  readonly #fields: Record<string, string>

  constructor (fields: Record<string, string> = {}) {
    this.#fields = fields
  }

  get etag (): string { return `"v${this.version}"` }

  serve (app: FastifyInstance, { cached: isCached, ran }: Probe, options: RouteCacheOptions = {}): void {
    app.get('/', cached(options), async (request, reply) => {
      ran()
      const condition = request.headers['if-none-match']
      if (isCached) this.asked.push(condition)
      reply.headers({ etag: this.etag, ...this.#fields })
      return condition === this.etag ? await reply.code(304).send() : `version ${this.version}`
    })
  }
}
