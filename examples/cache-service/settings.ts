// Settings from the environment: the token, the backend and its options, and where to listen.

/** An error whose message is shown to the user, without a stack. */
export class Refusal extends Error {}

export interface Settings {
  readonly token: string
  readonly backend: string
  readonly options: object
  readonly maxBodyBytes: number
  readonly host: string
  /** 0 means any free port. */
  readonly port: number
}

const LEAST_TOKEN_CHARACTERS = 16
const DEFAULT_MAX_VALUE_BYTES = 64 * 1024 * 1024
const DEFAULT_PORT = 4000

// The backend `http` appends the digest of the key to each value.
const SEAL_BYTES = 32

/** Reads all settings. Throws Refusal, whose message contains no value that may be secret. */
export function readSettings (env: NodeJS.ProcessEnv): Settings {
  return {
    token: readToken(env.CACHE_HTTP_TOKEN),
    backend: env.CACHE_BACKEND || 'sqlite',
    options: readOptions(env.CACHE_OPTIONS),
    maxBodyBytes: readNumber('CACHE_MAX_VALUE_BYTES', env.CACHE_MAX_VALUE_BYTES, DEFAULT_MAX_VALUE_BYTES, 2 ** 30) + SEAL_BYTES,
    host: env.HOST || '127.0.0.1',
    port: readNumber('PORT', env.PORT, DEFAULT_PORT, 65_535)
  }
}

function readToken (given = ''): string {
  if (given === '') {
    throw new Refusal('CACHE_HTTP_TOKEN is missing: anyone who has it can use the cache. Make one with: openssl rand -hex 32')
  }
  if (!/^[\x21-\x7e]+$/.test(given) || given.length < LEAST_TOKEN_CHARACTERS) {
    throw new Refusal(
      `CACHE_HTTP_TOKEN must have at least ${LEAST_TOKEN_CHARACTERS} visible ASCII characters and no spaces. Make one with: openssl rand -hex 32`)
  }
  return given
}

function readOptions (given: string | undefined): object {
  if (given === undefined || given === '') return {}
  try {
    const options: unknown = JSON.parse(given)
    if (typeof options === 'object' && options !== null && !Array.isArray(options)) return options
  } catch {
    // The message doesn't show the options, because they may contain a password.
  }
  throw new Refusal('CACHE_OPTIONS must be a JSON object: the options of the backend, {"path":"/var/cache/responses.db"} for example.')
}

function readNumber (name: string, given: string | undefined, byDefault: number, most: number): number {
  if (given === undefined || given === '') return byDefault
  if (!/^\d{1,10}$/.test(given) || Number(given) > most) {
    throw new Refusal(`${name} must be a number from 0 to ${most}, got ${JSON.stringify(given)}.`)
  }
  return Number(given)
}
