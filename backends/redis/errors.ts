// What failed calls throw: name, code and one line. The driver's own errors hold commands, and so bodies, keys and passwords.

/** An error of a call that failed. */
export type Failure = Error & { readonly code: string }

// Told with the name of an unknown command: what it was called with.
const ARGUMENTS = /,? with args beginning with.*/s
const CODE = /^-?([A-Z][A-Z0-9_]+)\b/
// Before Redis 7 what a script came to stands behind where it did.
const CODE_IN_SCRIPT = /@user_script.*?-([A-Z]{3,})\b/

export function failure (code: string, message: string, name = 'RedisError'): Failure {
  return Object.assign(new Error(message), { name, code })
}

/** Whether the server itself answered with this error, so that it has done nothing and will do nothing. */
export function isAnswer (error: unknown): boolean {
  return (error as Error | undefined)?.name === 'ReplyError'
}

/** Whether the server didn't take a value for its size. It ends the connection then. */
export function isTooLarge (error: unknown): boolean {
  return isAnswer(error) && /invalid bulk length/.test((error as Error).message)
}

/** `error` without what must not be in a log. */
export function failureOf (error: unknown): Failure {
  if (!(error instanceof Error)) return failure('UNKNOWN', 'the driver failed with something that is not an Error')
  const { name } = error
  // What all nodes of a Cluster came to is told by the last of them.
  const { lastNodeError, code } = error as { lastNodeError?: unknown, code?: unknown }
  if (lastNodeError instanceof Error) return failureOf(lastNodeError)
  const line = error.message.split('\n', 1)[0]!.replace(ARGUMENTS, '')
  // The timer of a lent client.
  if (line === 'Command timed out') return failure('ETIMEDOUT', line, name)
  if (!isAnswer(error)) return failure(typeof code === 'string' ? code : 'ECONNLOST', line === '' ? String(code) : line, name)
  const answered = CODE_IN_SCRIPT.exec(line)?.[1] ?? CODE.exec(line)?.[1] ?? 'ERR'
  if (answered === 'ERR' && /syntax error/.test(line)) {
    return failure('ERR', 'the server does not know PXAT: Redis 6.2 or later, or Valkey, is needed', name)
  }
  const failed = failure(answered, line, name)
  return answered === 'OOM' ? Object.assign(failed, { isFull: true }) : failed
}
