// Creates the errors of failed commands. The driver's own errors contain commands, with bodies, keys and passwords; these errors don't.

/** The error of a failed command. */
export type Failure = Error & { readonly code: string }

// If the server does not know a command, its error repeats the command's arguments. This pattern finds that part, to remove it.
const ARGUMENTS = /,? with args beginning with.*/s
const CODE = /^-?([A-Z][A-Z0-9_]+)\b/
// Before Redis 7, the code of a script's error comes after the error's location.
const CODE_IN_SCRIPT = /@user_script.*?-([A-Z]{3,})\b/

export function failure (code: string, message: string, name = 'RedisError'): Failure {
  return Object.assign(new Error(message), { name, code })
}

/** Returns whether the server itself responded with this error. In that case, the command had no effect and won't have any later. */
export function isReply (error: unknown): boolean {
  return (error as Error | undefined)?.name === 'ReplyError'
}

/** Returns whether the server refused a value because of its size. The server closes the connection after that. */
export function isTooLarge (error: unknown): boolean {
  return isReply(error) && /invalid bulk length/.test((error as Error).message)
}

/** Returns `error` without anything that must not be logged. */
export function failureOf (error: unknown): Failure {
  if (!(error instanceof Error)) return failure('UNKNOWN', 'the driver failed with something that is not an Error')
  const { name } = error
  // If all nodes of a Cluster failed, `lastNodeError` is the error of the last node.
  const { lastNodeError, code } = error as { lastNodeError?: unknown, code?: unknown }
  if (lastNodeError instanceof Error) return failureOf(lastNodeError)
  const line = error.message.split('\n', 1)[0]!.replace(ARGUMENTS, '')
  // A caller-owned client that has its own timeout throws this error.
  if (line === 'Command timed out') return failure('ETIMEDOUT', line, name)
  if (!isReply(error)) return failure(typeof code === 'string' ? code : 'ECONNLOST', line === '' ? String(code) : line, name)
  const replyCode = CODE_IN_SCRIPT.exec(line)?.[1] ?? CODE.exec(line)?.[1] ?? 'ERR'
  if (replyCode === 'ERR' && /syntax error/.test(line)) {
    return failure('ERR', 'the server does not know PXAT: Redis 6.2 or later, or Valkey, is needed', name)
  }
  const failed = failure(replyCode, line, name)
  return replyCode === 'OOM' ? Object.assign(failed, { isFull: true }) : failed
}
