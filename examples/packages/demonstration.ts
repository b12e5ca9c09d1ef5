// The demonstration: the application asks itself over HTTP, and shows what was made anew and what came from the cache.
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { heading, row, type Asked } from './table.js'

/** What the demonstration needs around it. */
export interface Stage {
  /** An application that listens, always at the same address. */
  open (): Promise<FastifyInstance>
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

/** Shows everything. Answers the application, which listens, and how many rows were not what they should be. */
export async function demonstrate (stage: Stage): Promise<{ app: FastifyInstance, wrong: number }> {
  const { print } = stage
  let app = await stage.open()
  let wrong = 0
  const round = async (title: string, expected: Record<string, Asked['outcome']>): Promise<Asked[]> => {
    print(`\n${title}\n\n${heading()}`)
    const all: Asked[] = []
    for (const [path, outcome] of Object.entries(expected)) {
      const asked = await ask(urlOf(app), 'GET', path, stage.signal)
      const isRight = asked.outcome === outcome
      if (!isRight) wrong++
      print(row(asked) + (isRight ? '' : `   <-- should be ${outcome}`))
      all.push(asked)
    }
    return all
  }
  const each = (outcome: Asked['outcome']): Record<string, Asked['outcome']> => Object.fromEntries(PATHS.map((path) => [path, outcome]))

  await startEmpty(app, print)
  const made = await round('1. Asked for the first time. Nothing is stored, so node_modules is walked for each answer:', each('MISS'))
  const kept = await round('2. Asked again. The same answers come out of SQLite:', each('HIT'))
  print(`\n   ${made[0]!.path} took ${made[0]!.ms.toFixed(1)} ms to make and ${kept[0]!.ms.toFixed(1)} ms to find.`)

  const touched = await ask(urlOf(app), 'POST', `${PACKAGE}/touch`, stage.signal)
  print(`\n3. POST ${PACKAGE}/touch says:\n\n   ${touched.body}`)
  await round('   So what speaks of that package is made anew, and the other package is still there:', { ...each('MISS'), [OTHER]: 'HIT' })
  await round('4. A package that is not installed is a 404, which is not stored:', { [UNKNOWN]: 'MISS' })

  await app.close()
  app = await stage.open()
  await round('5. The application was closed and opened again. SQLite has kept the answers:', { ...each('HIT'), [UNKNOWN]: 'MISS' })
  return { app, wrong }
}

/** Forgets what an earlier run stored, so that the table tells the same story every time. */
async function startEmpty (app: FastifyInstance, print: Stage['print']): Promise<void> {
  const { entries = 0 } = await app.cache.stats()
  if (entries === 0) return print('The database is empty.')
  await app.cache.clear()
  print(`The database held ${entries} entries of an earlier run. They were forgotten (cache.clear()), so that the table starts from nothing.`)
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
