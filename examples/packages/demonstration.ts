// The demonstration: it sends requests to the application, and shows which responses come from the handler and which from the cache.
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Storage } from './storage.js'
import { heading, row, type Exchange } from './table.js'

/** What the demonstration needs. */
export interface Stage {
  /** Opens the application and makes it listen, always at the same address. */
  open (): Promise<FastifyInstance>
  /** Where its responses are stored. */
  readonly storage: Storage
  print (line: string): void
  /** Ends the demonstration early. */
  readonly signal: AbortSignal
}

const PACKAGE = '/packages/fastify'
const OTHER = '/packages/@fastify/error'
const PATHS = ['/packages', '/licenses', PACKAGE, OTHER]
const UNKNOWN = '/packages/no-such-package'

/** The port on which an application listens. */
export function portOf (app: FastifyInstance): number {
  return (app.server.address() as AddressInfo).port
}

/** The URL of an application that listens. */
export function urlOf (app: FastifyInstance): string {
  return `http://127.0.0.1:${portOf(app)}`
}

/** The result of the demonstration. */
export interface Shown {
  /** The application, which listens. */
  readonly app: FastifyInstance
  /** A sentence about what was not as expected. */
  readonly verdict: string | undefined
}

/** Runs the demonstration, unless the backend is unavailable. */
export async function demonstrate (stage: Stage): Promise<Shown> {
  const app = await stage.open()
  const trouble = await startEmpty(app, stage.print)
  if (trouble === undefined) return await new Demonstration(stage, app).run()
  return {
    app,
    verdict: `The cache is unavailable: ${trouble}.\nThe application serves every response from its handlers, and caches as soon as it can. The table is shown if the cache is available at the start.`
  }
}

/** Removes the entries of earlier runs, so that the table is the same every time. Returns the error's message if it can't. */
async function startEmpty (app: FastifyInstance, print: Stage['print']): Promise<string | undefined> {
  try {
    const { entries } = await app.cache.stats()
    if (entries === 0) {
      print('The cache is empty.')
      return undefined
    }
    await app.cache.clear()
    print(
      `${entries === undefined ? 'Entries of an earlier run' : `The cache held ${entries} entries of an earlier run. They`} were removed (cache.clear()), so that the table starts with an empty cache.`)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** The rounds of the table. */
class Demonstration {
  readonly #stage: Stage
  #app: FastifyInstance
  #wrong = 0

  constructor (stage: Stage, app: FastifyInstance) {
    this.#stage = stage
    this.#app = app
  }

  async run (): Promise<Shown> {
    const { print, storage: { near, lasting } } = this.#stage
    const made = await this.#round(
      '1. First requests. Nothing is stored, so each handler walks node_modules:', each('MISS'))
    const kept = await this.#round(`2. The same requests again. The responses come from ${near}:`, each('HIT'))
    print(`\n   ${made[0]!.path} took ${made[0]!.ms.toFixed(1)} ms from the handler and ${kept[0]!.ms.toFixed(1)} ms from the cache.`)

    const touched = await this.#request('POST', `${PACKAGE}/touch`)
    print(`\n3. POST ${PACKAGE}/touch returns:\n\n   ${touched.body}`)
    await this.#round('   So responses about that package come from the handler, and the other package is still cached:', {
      ...each('MISS'), [OTHER]: 'HIT'
    })
    await this.#round('4. A package that is not installed is a 404, which is not stored:', { [UNKNOWN]: 'MISS' })

    await this.#app.close()
    this.#app = await this.#stage.open()
    const what = lasting === undefined
      ? 'Memory has kept nothing, so all responses come from the handler'
      : `${lasting[0]!.toUpperCase()}${lasting.slice(1)} ${lasting === 'the files' ? 'have' : 'has'} kept the responses`
    await this.#round(`5. The application was closed and opened again. ${what}:`, {
      ...each(lasting === undefined ? 'MISS' : 'HIT'), [UNKNOWN]: 'MISS'
    })
    return { app: this.#app, verdict: this.#wrong === 0 ? undefined : `${this.#wrong} of the rows above are not as expected.` }
  }

  async #round (title: string, expected: Readonly<Record<string, Exchange['outcome']>>): Promise<Exchange[]> {
    const { print } = this.#stage
    print(`\n${title}\n\n${heading()}`)
    const all: Exchange[] = []
    for (const [path, outcome] of Object.entries(expected)) {
      const sent = await this.#request('GET', path)
      const isRight = sent.outcome === outcome
      if (!isRight) this.#wrong++
      print(row(sent) + (isRight ? '' : `   <-- expected ${outcome}`))
      all.push(sent)
    }
    return all
  }

  #request (method: string, path: string): Promise<Exchange> {
    return request(urlOf(this.#app), method, path, this.#stage.signal)
  }
}

function each (outcome: Exchange['outcome']): Record<string, Exchange['outcome']> {
  return Object.fromEntries(PATHS.map((path) => [path, outcome]))
}

async function request (base: string, method: string, path: string, signal: AbortSignal): Promise<Exchange> {
  const startedAt = performance.now()
  // Each request has its own connection, because a reused one would no longer work after the application was closed.
  const response = await fetch(base + path, { method, signal, headers: { connection: 'close' } })
  const body = await response.text()
  const ms = performance.now() - startedAt
  const status = response.headers.get('cache-status') ?? ''
  return { method, path, code: response.status, outcome: outcomeOf(status), ms, status, body }
}

/** Cache-Status in one word (RFC 9211 section 2). A hit with a negative ttl is stale. */
function outcomeOf (status: string): Exchange['outcome'] {
  if (/; hit\b/.test(status)) return /; ttl=-/.test(status) ? 'STALE' : 'HIT'
  return /; fwd=(miss|stale|request)\b/.test(status) ? 'MISS' : 'NO CACHE'
}
