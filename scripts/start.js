// npm start: installs and builds what is missing, then becomes the example server with the arguments that were given.
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
  // In this process and not in a child: every signal reaches the server, and each of them once.
  process.argv[1] = SERVER
  await import(pathToFileURL(SERVER).href)
})
