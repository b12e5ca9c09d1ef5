// The program of the cache service: opens a backend by name, and serves it until a signal stops it.
import { once } from 'node:events'
import { builtIns, type BackendChoice } from 'fastify-response-cache'
import { cacheService } from './service.js'
import { readSettings, Refusal, type Settings } from './settings.js'

async function run (signal: AbortSignal): Promise<void> {
  const settings = readSettings(process.env)
  const { backend: name, options, token, maxBodyBytes } = settings
  const backend = await builtIns().open({ backend: name, options } as BackendChoice)
  const app = cacheService({ backend, token, maxBodyBytes, logger: true })
  try {
    const url = await app.listen({ host: settings.host, port: settings.port }).catch((error) => { throw listenRefusal(error, settings) })
    console.log(`Serving the backend '${name}' at ${url} until Ctrl-C.`)
    if (!signal.aborted) await once(signal, 'abort')
  } finally {
    await app.close()
    await backend.close()
  }
}

function listenRefusal (error: NodeJS.ErrnoException, { host, port }: Settings): Error {
  return new Refusal(`Can't listen at ${host}, port ${port} (${error.code ?? error.message}). HOST and PORT choose where.`)
}

const stop = new AbortController()
// Each signal is handled once, so that a second Ctrl-C ends the program without waiting.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(name))

try {
  await run(stop.signal)
  console.log(`${String(stop.signal.reason)}: closed.`)
} catch (error) {
  // The message of a wrong option is enough for the user. The stack is shown for unexpected errors only.
  const isForUser = error instanceof Refusal || (error as { code?: string }).code?.startsWith('CACHE_ERR_') === true
  console.error(isForUser ? (error as Error).message : error)
  process.exitCode = 1
}
