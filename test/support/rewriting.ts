// Hooks that rewrite a request, and what they remember of it.
import type { FastifyRequest } from 'fastify'

export const kWho = Symbol('who')

/** The user, as a hook read it from the request before rewriting it. */
export const who = (request: FastifyRequest): string => String((request as unknown as Record<symbol, unknown>)[kWho])

/** Takes `/t/:tenant` out of the URL. Returns the tenant. */
export function stripTenant (request: FastifyRequest): string {
  const [, tenant, rest] = /^\/t\/([^/]+)(\/.*)$/.exec(request.raw.url as string) ?? []
  if (rest !== undefined) request.raw.url = rest
  return String(tenant)
}
