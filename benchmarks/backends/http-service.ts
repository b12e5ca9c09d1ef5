// A child process: a minimal service for the protocol of the backend 'http', so that mostly the client is measured.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { handleCalls } from '../core/child.js'

const entries = new Map<string, { readonly body: Buffer, readonly expiresAt: string }>()

const server = createServer((request, response) => {
  const { method, url = '', headers } = request
  if (method === 'GET') {
    const entry = entries.get(url)
    if (entry === undefined) response.writeHead(404, { 'content-length': 0 }).end()
    else response.writeHead(200, { 'content-length': entry.body.byteLength, 'cache-expires-at': entry.expiresAt }).end(entry.body)
    return
  }
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    if (method === 'PUT') entries.set(url, { body: Buffer.concat(chunks), expiresAt: headers['cache-expires-at'] as string })
    else entries.delete(url)
    response.writeHead(204).end()
  })
})

handleCalls({
  listen: () => new Promise<number>((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))
}, () => server.close())
