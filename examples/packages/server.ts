// The program of the example: runs the demonstration, then serves until a signal stops it.
import { once } from 'node:events'
import type { FastifyInstance } from 'fastify'
import { application } from './application.js'
import { demonstrate, portOf, urlOf } from './demonstration.js'
import { readSettings, type CommandLine } from './settings.js'
import { Refusal } from './storage.js'

/** The open application, if there is one. */
let open: FastifyInstance | undefined

/** Opens the application, always on the same port once that is known. */
function opener (settings: CommandLine): () => Promise<FastifyInstance> {
  let { port } = settings
  return async () => {
    const app = await application(settings)
    open = app
    try {
      await app.listen({ host: '127.0.0.1', port })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
        throw new Refusal(`Port ${port} is in use. Choose another one; PORT=0 npm start takes any free port.`)
      }
      if ((error as NodeJS.ErrnoException).code === 'EACCES') {
        throw new Refusal(`Port ${port} needs rights that this process does not have. Choose a port of at least 1024: PORT=3000 npm start.`)
      }
      throw error
    }
    port = portOf(app)
    return app
  }
}

async function run (signal: AbortSignal): Promise<void> {
  const settings = readSettings(process.env, process.argv.slice(2))
  const { title } = settings.storage
  console.log(`Installed npm packages, responses cached ${title}`)
  const { app, verdict } = await demonstrate({
    open: opener(settings), storage: settings.storage, print: (line) => console.log(line), signal
  })
  if (verdict !== undefined) process.exitCode = 1
  console.log(`\n${verdict ?? 'Everything was as expected.'}`)
  if (settings.once || signal.aborted) return
  const url = urlOf(app)
  console.log(`\nServing at ${url} until Ctrl-C. Try:\n
   curl -i ${url}/packages/fastify
   curl -i -X POST ${url}/packages/fastify/touch
   curl -s ${url}/licenses`)
  await once(signal, 'abort')
}

const stop = new AbortController()
// Each signal is handled once, so that a second Ctrl-C ends the program without waiting.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(name))

try {
  await run(stop.signal)
} catch (error) {
  if (error instanceof Refusal) console.error(error.message)
  else if (!stop.signal.aborted) console.error(error)
  if (!stop.signal.aborted) process.exitCode = 1
} finally {
  await open?.close()
  if (stop.signal.aborted) console.log(`\n${stop.signal.reason}: closed.`)
}
