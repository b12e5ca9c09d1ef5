// A request as the rules of response/ see it, without a server.
import type { FastifyRequest } from 'fastify'

export interface RequestParts {
  method?: string
  /** The request target. */
  url?: string
  /** The target before `rewriteUrl`. */
  originalUrl?: string
  headers?: Record<string, unknown>
  /** Fields as they came, where `headers` are no longer all of them. */
  rawHeaders?: string[]
  protocol?: string
  host?: string
  query?: unknown
  body?: unknown
}

export function fakeRequest ({ method = 'GET', url = '/', originalUrl = url, headers = {}, rawHeaders = [], protocol = 'http', host = 'a.example', query = {}, body }: RequestParts = {}): FastifyRequest {
  return { method, headers, raw: { url, rawHeaders }, originalUrl, protocol, host, query, body } as unknown as FastifyRequest
}
