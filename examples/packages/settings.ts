// Settings from the command line and the environment: --once, PORT, PROJECT, and CACHE_BACKEND with its related variables.
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Settings } from './application.js'
import { Refusal, storageOf } from './storage.js'

export interface CommandLine extends Settings {
  /** 0 means any free port. */
  readonly port: number
  /** Whether the program ends after the demonstration. */
  readonly once: boolean
}

const DEFAULT_PORT = 3000

/** Reads all settings, and makes the folder of a database. Throws Refusal. */
export function readSettings (env: NodeJS.ProcessEnv, args: readonly string[]): CommandLine {
  const unknown = args.find((arg) => arg !== '--once')
  if (unknown !== undefined) throw new Refusal(`The only argument is --once, got ${JSON.stringify(unknown)}.`)
  // Resolved by the package's name, so that the result is the same for the sources and the build.
  const own = dirname(fileURLToPath(import.meta.resolve('fastify-response-cache/package.json')))
  return { project: readProject(env.PROJECT, own), storage: storageOf(env, own), port: readPort(env.PORT), once: args.length > 0 }
}

function readProject (given: string | undefined, own: string): string {
  const project = resolve(given === undefined || given === '' ? own : given)
  if (!existsSync(join(project, 'node_modules'))) {
    throw new Refusal(`PROJECT must be a folder with a node_modules, got ${JSON.stringify(given)}.`)
  }
  return project
}

function readPort (given: string | undefined): number {
  if (given === undefined || given === '') return DEFAULT_PORT
  if (!/^\d{1,5}$/.test(given) || Number(given) > 65_535) {
    throw new Refusal(`PORT must be a number from 0 to 65535, got ${JSON.stringify(given)}.`)
  }
  return Number(given)
}
