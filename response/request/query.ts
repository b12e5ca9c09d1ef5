// Limits the query that a handler sees to the parameters that are part of the key.
import { unescape } from 'node:querystring'
import type { FastifyRequest } from 'fastify'

/** Returns a request target without its query. */
export function pathOf (target: string): string {
  const mark = target.indexOf('?')
  return mark === -1 ? target : target.slice(0, mark)
}

/** Returns the parameters that `named` lists, in the order of `named`. */
export function listed (all: Readonly<Record<string, unknown>>, named: false | readonly string[]): Record<string, unknown> {
  const query: Record<string, unknown> = Object.create(null)
  for (const name of named === false ? [] : named) {
    if (Object.hasOwn(all, name)) query[name] = all[name]
  }
  return query
}

/** Returns the target with only those pairs of its query that belong to the named parameters. The pairs themselves are unchanged. */
export function limitedTarget (target: string, named: boolean | readonly string[]): string {
  if (named === true) return target
  const path = pathOf(target)
  const pairs = named === false ? [] : target.slice(path.length + 1).split('&').filter((pair) => named.includes(nameOf(pair)))
  return pairs.length === 0 ? path : `${path}?${pairs.join('&')}`
}

/** Removes all query parameters except the named ones from everything that the handler can read, so they can't affect a stored response. */
export function limitQuery (request: FastifyRequest, named: boolean | readonly string[]): void {
  if (named === true) return
  const target = limitedTarget(request.raw.url as string, named)
  request.query = listed(request.query as Record<string, unknown>, named)
  // A rewritten originalUrl is left unchanged, because it is a separate part of the key. The property is redefined, because Fastify's
  // getter always returns the value that it returned first.
  if (request.originalUrl === request.raw.url) Object.defineProperty(request, 'originalUrl', { value: target })
  request.raw.url = target
  // Fastify sets `raw.originalUrl` if the application has `rewriteUrl`.
  if ((request.raw as { originalUrl?: string }).originalUrl !== undefined && request.originalUrl === target) {
    Object.assign(request.raw, { originalUrl: target })
  }
}

function nameOf (pair: string): string {
  return unescape(pair.split('=', 1)[0]!.replaceAll('+', ' '))
}
