// Measures the cost of a hit, a miss and no cache through the plugin, with requests over real connections to a server in a child process.
// Fastify's inject() would be simpler, but costs more than the hit that is measured.
import { Agent, get, type IncomingMessage } from 'node:http'
import { createHistogram } from 'node:perf_hooks'
import { Child } from '../core/child.js'
import { drive } from '../core/drive.js'
import { median } from '../core/statistics.js'
import type { Serving } from './server.js'

/** The routes of the server. */
export const ROUTES = ['floor', 'hit', 'miss'] as const
export type Route = typeof ROUTES[number]

/** The results of one route in one round. */
export interface RouteSample {
  /** CPU time of the server's process per request. */
  readonly cpuUs: number
  /** The median duration of a request without concurrent ones. */
  readonly latencyUs: number
}

const CONNECTIONS = 32
const PATIENCE_MS = 30_000

// The number of different URLs for hits, because a real site has many entries. If it takes long to store them, fewer are used.
const HIT_URLS = 500
const FILL_MS = 2_000

/** Measures one backend behind the plugin. */
export class Served {
  readonly samples: Record<Route, RouteSample[]> = { floor: [], hit: [], miss: [] }
  readonly #child = new Child(new URL('server.js', import.meta.url))
  readonly #agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  #port = 0
  #sent = 0
  #urls = 0
  #unintended = 0
  #requests = 0

  async open (serving: Serving): Promise<void> {
    this.#port = await this.#child.call<number>('start', serving, PATIENCE_MS)
    const fillUntil = performance.now() + FILL_MS
    for (; this.#urls < HIT_URLS && (this.#urls === 0 || performance.now() < fillUntil); this.#urls++) {
      await this.#request(`/hit/${this.#urls}`)
    }
  }

  /** The share of the requests to the cached routes that had the intended result, a hit or a stored miss. */
  get asMeant (): number {
    return this.#requests === 0 ? 1 : 1 - this.#unintended / this.#requests
  }

  /** Runs one round. Sends each route concurrent requests, then one request at a time. */
  async round (forMs: number): Promise<void> {
    for (const route of ROUTES) this.samples[route].push(await this.#measure(route, forMs))
  }

  /** Discards the rounds so far, which were the warm-up. */
  discardRounds (): void {
    for (const route of ROUTES) this.samples[route].length = 0
    this.#unintended = this.#requests = 0
  }

  async stop (): Promise<void> {
    this.#agent.destroy()
    await this.#child.stop()
  }

  async #measure (route: Route, forMs: number): Promise<RouteSample> {
    const operate = (): Promise<unknown> => this.#send(route)
    const before = await this.#cpuUs()
    const { operations } = await drive({ operate, inFlight: CONNECTIONS, forMs, timedOneIn: 1_000, latencies: createHistogram() })
    const spentUs = await this.#cpuUs() - before
    const latencies = createHistogram()
    await drive({ operate, inFlight: 1, forMs, timedOneIn: 1, latencies })
    return { cpuUs: spentUs / operations, latencyUs: latencies.percentile(50) / 1_000 }
  }

  async #send (route: Route): Promise<void> {
    const number = this.#sent++
    const status = await this.#request(`/${route}/${route === 'hit' ? number % this.#urls : number}`)
    if (route === 'floor') return
    this.#requests++
    if (status?.includes(route === 'hit' ? '; hit' : '; fwd=miss; stored') !== true) this.#unintended++
  }

  /** Sends a request. Returns the Cache-Status of its response. */
  async #request (path: string): Promise<string | undefined> {
    const { statusCode, headers } = await new Promise<IncomingMessage>((resolve, reject) => {
      get({ host: '127.0.0.1', port: this.#port, path, agent: this.#agent }, (response) => {
        response.resume().on('end', () => { resolve(response) }).on('error', reject)
      }).on('error', reject)
    })
    if (statusCode !== 200) throw new Error(`the server responded to ${path} with ${statusCode}`)
    return headers['cache-status'] as string | undefined
  }

  async #cpuUs (): Promise<number> {
    return await this.#child.call<number>('cpuUs', undefined, PATIENCE_MS)
  }
}

export function medians (samples: readonly RouteSample[]): RouteSample {
  return { cpuUs: median(samples.map(({ cpuUs }) => cpuUs)), latencyUs: median(samples.map(({ latencyUs }) => latencyUs)) }
}
