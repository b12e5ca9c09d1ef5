// The demonstration: the application asks itself over HTTP, and shows what was made anew and what came from the cache.
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Storage } from './storage.js'
import { heading, row, type Asked } from './table.js'

/** What the demonstration needs around it. */
export interface Stage {
  /** An application that listens, always at the same address. */
  open (): Promise<FastifyInstance>
  /** Where its answers are kept. */
  readonly storage: Storage
  print (line: string): void
  /** Ends the demonstration early. */
  readonly signal: AbortSignal
}

const PACKAGE = '/packages/fastify'
const OTHER = '/packages/@fastify/error'
const PATHS = ['/packages', '/licenses', PACKAGE, OTHER]
const UNKNOWN = '/packages/no-such-package'

/** The port at which an application listens. */
export function portOf (app: FastifyInstance): number {
  return (app.server.address() as AddressInfo).port
}

/** Where an application listens. */
export function urlOf (app: FastifyInstance): string {
  return `http://127.0.0.1:${portOf(app)}`
}

/** What was shown. */
export interface Shown {
  /** It listens. */
  readonly app: FastifyInstance
  /** What was not as it should be, in a sentence. */
  readonly verdict: string | undefined
}

/** Shows everything, unless the answers can't be kept. */
export async function demonstrate (stage: Stage): Promise<Shown> {
  const app = await stage.open()
  const trouble = await startEmpty(app, stage.print)
  if (trouble === undefined) return await new Demonstration(stage, app).run()
  return {
    app,
    verdict: `The cache does not answer: ${trouble}.\nThe application serves all the same, each answer made anew, and caches as soon as it can. The table is shown when it is started with a cache that answers.`
  }
}

/** Forgets what an earlier run stored, so that the table tells the same story every time. Answers why it could not. */
async function startEmpty (app: FastifyInstance, print: Stage['print']): Promise<string | undefined> {
  try {
    const { entries } = await app.cache.stats()
    if (entries === 0) {
      print('The cache is empty.')
      return undefined
    }
    await app.cache.clear()
    print(
      `${entries === undefined ? 'Entries of an earlier run' : `It held ${entries} entries of an earlier run. They`} were forgotten (cache.clear()), so that the table starts from nothing.`)
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
      '1. Asked for the first time. Nothing is stored, so node_modules is walked for each answer:', each('MISS'))
    const kept = await this.#round(`2. Asked again. The same answers come out of ${near}:`, each('HIT'))
    print(`\n   ${made[0]!.path} took ${made[0]!.ms.toFixed(1)} ms to make and ${kept[0]!.ms.toFixed(1)} ms to find.`)

    const touched = await this.#ask('POST', `${PACKAGE}/touch`)
    print(`\n3. POST ${PACKAGE}/touch says:\n\n   ${touched.body}`)
    await this.#round('   So what speaks of that package is made anew, and the other package is still there:', {
      ...each('MISS'), [OTHER]: 'HIT'
    })
    await this.#round('4. A package that is not installed is a 404, which is not stored:', { [UNKNOWN]: 'MISS' })

    await this.#app.close()
    this.#app = await this.#stage.open()
    const what = lasting === undefined
      ? 'Memory has kept nothing, so all is made anew'
      : `${lasting[0]!.toUpperCase()}${lasting.slice(1)} ${lasting === 'the files' ? 'have' : 'has'} kept the answers`
    await this.#round(`5. The application was closed and opened again. ${what}:`, {
      ...each(lasting === undefined ? 'MISS' : 'HIT'), [UNKNOWN]: 'MISS'
    })
    return { app: this.#app, verdict: this.#wrong === 0 ? undefined : `${this.#wrong} of the rows above are not as they should be.` }
  }

  async #round (title: string, expected: Readonly<Record<string, Asked['outcome']>>): Promise<Asked[]> {
    const { print } = this.#stage
    print(`\n${title}\n\n${heading()}`)
    const all: Asked[] = []
    for (const [path, outcome] of Object.entries(expected)) {
      const asked = await this.#ask('GET', path)
      const isRight = asked.outcome === outcome
      if (!isRight) this.#wrong++
      print(row(asked) + (isRight ? '' : `   <-- should be ${outcome}`))
      all.push(asked)
    }
    return all
  }

  #ask (method: string, path: string): Promise<Asked> {
    return ask(urlOf(this.#app), method, path, this.#stage.signal)
  }
}

function each (outcome: Asked['outcome']): Record<string, Asked['outcome']> {
  return Object.fromEntries(PATHS.map((path) => [path, outcome]))
}

async function ask (base: string, method: string, path: string, signal: AbortSignal): Promise<Asked> {
  const startedAt = performance.now()
  // A connection for each question: one that is kept would be asked again after the application closed.
  const answer = await fetch(base + path, { method, signal, headers: { connection: 'close' } })
  const body = await answer.text()
  const ms = performance.now() - startedAt
  const status = answer.headers.get('cache-status') ?? ''
  return { method, path, code: answer.status, outcome: outcomeOf(status), ms, status, body }
}

/** Cache-Status in one word (RFC 9211 section 2): a hit whose ttl is below zero is a stale one. */
function outcomeOf (status: string): Asked['outcome'] {
  if (/; hit\b/.test(status)) return /; ttl=-/.test(status) ? 'STALE' : 'HIT'
  return /; fwd=(miss|stale|request)\b/.test(status) ? 'MISS' : 'NO CACHE'
}
