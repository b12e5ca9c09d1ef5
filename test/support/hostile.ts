// A cache service behind a proxy that hangs, refuses or sends garbage on command, as a subject of the kit.
import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { builtIns } from '../../backends/index.js'
import type { CacheBackend } from '../../registry/backend.js'
import type { BackendChoice } from '../../registry/names.js'
import type { ConformanceSubject, Heal } from '../kit/index.js'
import { Barrier } from './barrier.js'
import { testClock } from './clock.js'
import { serve, TOKEN } from './http.js'

/** Long enough for a busy machine, and shorter than the kit's own timeouts. */
const TIMEOUT = '1500ms'

const CRAMPED_BYTES = 4 * 2 ** 20
const SLOW_MS = 50

/** What all proxies do with a request; undefined: they pass it on. */
interface Mood { act: Act | undefined }
type Act = (from: IncomingMessage, to: ServerResponse, pass: () => void) => void

const refuse: Act = (from, to) => {
  from.resume()
  to.writeHead(503).end()
}

const sendGarbage: Act = (from, to) => {
  from.resume()
  to.writeHead(200, { 'cache-expires-at': '9007199254740991' }).end('<html>it works!</html>')
}

const haveNoRoom: Act = (from, to, pass) => {
  if (from.method !== 'PUT') return pass()
  from.resume()
  to.writeHead(507).end()
}

const takeTime: Act = (from, _to, pass) => {
  if (from.method === 'GET') pass()
  else setTimeout(pass, SLOW_MS)
}

async function startProxy (t: Test, service: string, mood: Mood): Promise<{ server: Server, baseUrl: string }> {
  const { hostname, port } = new URL(service)
  const server = createServer((from, to) => {
    const pass = (): void => {
      const onward = request({ hostname, port, path: from.url, method: from.method, headers: from.headers, agent: false }, (response) => {
        to.writeHead(response.statusCode!, response.headers)
        response.pipe(to)
      })
      onward.on('error', () => to.destroy())
      from.pipe(onward)
    }
    to.on('error', () => {})
    if (mood.act === undefined) pass()
    else mood.act(from, to, pass)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { server, baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** Each backend that is opened has a service of its own. */
export function httpSubject (t: Test): ConformanceSubject {
  const clock = testClock()
  const mood: Mood = { act: undefined }
  let baseUrl = ''
  const choice = (): BackendChoice => ({ backend: 'http', options: { baseUrl, authToken: TOKEN, timeout: TIMEOUT, maxRetries: 1 } })
  const again = (): Promise<CacheBackend> => builtIns().open(choice(), { now: clock.now })
  let service: Awaited<ReturnType<typeof serve>>
  const openOn = async (behind: BackendChoice): Promise<CacheBackend> => {
    service = await serve(t, { behind, now: clock.now })
    baseUrl = (await startProxy(t, service.baseUrl, mood)).baseUrl
    return await again()
  }
  const become = (act: Act, heal: Heal = () => {}): Heal => {
    mood.act = act
    return async () => {
      mood.act = undefined
      await heal()
    }
  }
  return {
    ...clock,
    open: () => openOn({ backend: 'memory' }),
    cramped: () => openOn({ backend: 'memory', options: { maxBytes: CRAMPED_BYTES } }),
    reopen: again,
    share: again,
    program: { module: new URL('./children/open.js', import.meta.url), where: () => JSON.stringify(choice()) },
    // Requests that it held back are passed on when it resumes: late, but all of them.
    hang () {
      const barrier = new Barrier()
      return become((_from, _to, pass) => { barrier.pass().then(pass, () => {}) }, () => { barrier.open() })
    },
    fail: () => become(refuse),
    garble: () => become(sendGarbage),
    async remove () { await service.backend.clear!() },
    fill: () => become(haveNoRoom),
    slow: () => become(takeTime)
  }
}
