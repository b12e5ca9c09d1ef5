// npm start: installs and builds what is missing, then runs the example server with the given arguments.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, install, isBuilt, main, root, StepFailed } from './prepare.js'

const SERVER = join(root, 'dist', 'examples', 'packages', 'server.js')

await main(async () => {
  install()
  if (!isBuilt()) {
    console.log('> build')
    build()
  }
  if (!existsSync(SERVER)) throw new StepFailed('start failed: there is no examples/packages/server.ts')
  // The server runs in this process, not in a child, so that it receives every signal exactly once.
  process.argv[1] = SERVER
  await import(pathToFileURL(SERVER).href)
})
