// Where the responses are stored, from CACHE_BACKEND and its related variables, and the demonstration's words for it.
import { mkdirSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fromEnvironment, type ResponseCacheOptions } from 'fastify-response-cache'

/** An error whose message is shown to the user, without a stack. */
export class Refusal extends Error {}

/** A place for the responses. */
export interface Storage {
  readonly options: ResponseCacheOptions
  /** Where the responses are, without a password. */
  readonly title: string
  /** Where recent responses are read from. */
  readonly near: string
  /** What keeps the responses while the application is closed; undefined if nothing does. */
  readonly lasting: string | undefined
}

type Environment = NodeJS.ProcessEnv

const BACKENDS = ['sqlite', 'redis', 'file', 'tiered', 'memory'] as const
type Backend = typeof BACKENDS[number]

/** Reads the variables and makes the folder of a database. Throws Refusal. */
export function storageOf (env: Environment, project: string): Storage {
  const backend = (env.CACHE_BACKEND || 'sqlite') as Backend
  if (!BACKENDS.includes(backend)) throw new Refusal(`CACHE_BACKEND must be one of ${BACKENDS.join(', ')}, got ${JSON.stringify(backend)}.`)
  const database = resolve(project, env.SQLITE_PATH || join('.cache', 'packages.db'))
  const folder = resolve(project, env.CACHE_DIR || join('.cache', 'packages'))
  const far = backend === 'tiered' ? (env.REDIS_URL ? 'redis' : 'sqlite') : backend
  const options = optionsOf({
    // The demonstration clears its entries, so it needs its own namespace in a shared Redis.
    CACHE_NAMESPACE: 'packages',
    ...env,
    CACHE_BACKEND: backend,
    // These variables decide what is behind the memory of `tiered`.
    CACHE_HTTP_URL: undefined,
    CACHE_DIR: far === 'file' ? folder : undefined,
    SQLITE_PATH: far === 'sqlite' ? database : undefined
  })
  if (far === 'sqlite') mkdirSync(dirname(database), { recursive: true })
  return {
    options,
    ...wordsFor(
      backend, { sqlite: relative('', database), file: relative('', folder), redis: withoutPassword(env.REDIS_URL) }[far as string])
  }
}

function optionsOf (env: Environment): ResponseCacheOptions {
  try {
    return fromEnvironment(env)
  } catch (error) {
    throw new Refusal((error as Error).message)
  }
}

function wordsFor (backend: Backend, where = ''): Omit<Storage, 'options'> {
  const far = { sqlite: 'SQLite', redis: 'Redis', file: 'the files' }
  if (backend === 'memory') return { title: 'in memory', near: 'memory', lasting: undefined }
  if (backend !== 'tiered') {
    return { title: `in ${backend === 'file' ? 'files' : far[backend]}: ${where}`, near: far[backend], lasting: far[backend] }
  }
  const lasting = /^rediss?:/.test(where) ? far.redis : far.sqlite
  return { title: `in memory, and behind it in ${lasting}: ${where}`, near: 'memory', lasting }
}

/** The URL without its user and password; undefined if it is absent or not valid. */
function withoutPassword (url: string | undefined): string | undefined {
  if (url === undefined || !URL.canParse(url)) return undefined
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}
