// Refreshes: what closing waits for, and what a refresh repeats of a request.
import type { FastifyInstance, InjectOptions } from 'fastify'
import t from 'tap'
import { ThrottledLog } from '../../response/observe/log.js'
import { Refreshes } from '../../response/fill/refresh.js'
import { Barrier, turns } from '../support/barrier.js'
import { fakeRequest, type RequestParts } from '../support/request.js'

/** Refreshes of an application whose responses wait at a barrier, and its requests. */
function refreshing () {
  const barrier = new Barrier()
  const asked: InjectOptions[] = []
  const inject = async (options: InjectOptions): Promise<never> => {
    asked.push(options)
    await barrier.pass()
    throw new Error('no response')
  }
  const refreshes = new Refreshes(() => 0, new ThrottledLog({ debug () {}, info () {}, warn () {}, error () {} }, () => 0))
  const start = (parts: RequestParts = {}): void => {
    const request = fakeRequest(parts)
    Object.assign(request.raw, { socket: {} })
    refreshes.start({ inject } as unknown as FastifyInstance, request, 'k', () => undefined)
  }
  return { barrier, asked, refreshes, start }
}

t.test('close() resolves when no refresh is in progress', async (t) => {
  const { barrier, refreshes, start } = refreshing()
  start()
  await barrier.reached()
  let isClosed = false
  const closed = refreshes.close().then(() => { isClosed = true })
  await turns()
  t.equal(isClosed, false)
  barrier.open()
  await closed
  start()
  await turns()
  t.equal(barrier.arrived, 1, 'none begins')
})

t.test('a refresh repeats no field that concerns its connection, or a single request', async (t) => {
  const { barrier, asked, start } = refreshing()
  const notRepeated = [
    'If-Match', 'If-None-Match', 'If-Modified-Since', 'If-Unmodified-Since', 'If-Range', 'Range', 'Cache-Control', 'Pragma', 'Connection',
    'Keep-Alive', 'Proxy-Connection', 'TE', 'Trailer', 'Transfer-Encoding', 'Content-Length', 'Upgrade', 'Expect', ':authority'
  ]
  const rawHeaders = [...notRepeated, 'Accept', 'X-User', 'Host'].flatMap((name) => [name, 'x'])
  start({ rawHeaders, host: 'x' })
  await barrier.reached()
  barrier.open()
  t.same(asked[0]?.headers, { 'user-agent': undefined, accept: ['x'], 'x-user': ['x'], host: ['x'] })
})
