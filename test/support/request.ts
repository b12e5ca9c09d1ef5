// A request as the code of response/ sees it, without a server.
import type { FastifyRequest } from 'fastify'
import { Arrival, kArrival, type ArrivedRequest } from '../../response/request/arrival.js'
import { bodyText } from '../../response/request/key-parts.js'

export interface RequestParts {
  method?: string
  /** The request target. */
  url?: string
  /** The target before `rewriteUrl`. */
  originalUrl?: string
  headers?: Record<string, unknown>
  /** Fields as they arrived, if `headers` no longer has all of them. */
  rawHeaders?: string[]
  protocol?: string
  host?: string
  query?: unknown
  body?: unknown
}

/** The request arrived with `headers`, unless `rawHeaders` differ. */
export function fakeRequest ({
  method = 'GET', url = '/', originalUrl = url, headers = {}, rawHeaders = linesOf(headers), protocol = 'http', host = 'a.example',
  query = {}, body
}: RequestParts = {}): ArrivedRequest {
  const raw = { method, url, rawHeaders, headers: fieldsOf(rawHeaders), ...(originalUrl !== url && { originalUrl }) }
  const request = { method, headers, raw, originalUrl, protocol, host, query, body } as unknown as FastifyRequest
  const arrival = new Arrival(request)
  if (body !== undefined) arrival.body = bodyText(body)
  return Object.assign(request, { [kArrival]: arrival })
}

/** A request's fields, and the lines in which they arrived. */
export function fakeFields (
  headers: Record<string, unknown>, rawHeaders = linesOf(headers)
): Pick<ArrivedRequest, 'headers' | typeof kArrival> {
  return { headers, [kArrival]: fakeRequest({ headers, rawHeaders })[kArrival] } as Pick<ArrivedRequest, 'headers' | typeof kArrival>
}

function linesOf (headers: Record<string, unknown>): string[] {
  return Object.entries(headers)
    .flatMap(([name, value]) => [value].flat().flatMap((line) => line === undefined ? [] : [name, String(line)]))
}

function fieldsOf (rawHeaders: readonly string[]): Record<string, string> {
  return Object.fromEntries(rawHeaders.flatMap((name, at) => at % 2 === 0 ? [[name.toLowerCase(), rawHeaders[at + 1] as string]] : []))
}
