// The rules of the rooms, each as a function from source files to sentences that name the violations.
import { builtinModules } from 'node:module'
import type { Source } from './sources.js'
import { functionsOf, importsOf, mentions, type Import } from './syntax.js'

const MAX_FILE_LINES = 320
const MAX_FUNCTION_LINES = 40

/** The rooms with the code that users run. */
export const SOURCE_ROOMS = ['backends', 'registry', 'response'] as const

/** The rooms of response/, folders and files: each may import from those before it, types included. CONTRIBUTING.md lists them. */
export const RESPONSE_ROOMS = [
  'clock', 'observe', 'http', 'options', 'fastify', 'request', 'known-route', 'store', 'serve', 'fill', 'data', 'serve-or-forward',
  'invalidation', 'services', 'forwarding', 'route', 'explain', 'route-registration', 'cache'
]

/** The floor of a file of response/. A room that is not in the list is above all others, so that no file may import it. */
function floorOf (path: string): number {
  const floor = RESPONSE_ROOMS.indexOf((path.split('/')[1] as string).replace(/\.ts$/, ''))
  return floor === -1 ? RESPONSE_ROOMS.length : floor
}

/** Rooms that use the package by its name, as users do. */
const OUTSIDE_ROOMS = ['benchmarks', 'examples']

const OPTIONAL_PEERS = ['better-sqlite3', '@fastify/redis', 'ioredis', 'keyv', 'memcache-client', 'undici', 'unstorage']

export interface Rules {
  /** The dependencies in package.json. */
  readonly dependencies: readonly string[]
  readonly name: string
}

/** A backend is `backends/name.ts` and the files in `backends/name/`. */
const backendOf = (path: string) => path.split('/')[1]?.replace(/\.ts$/, '')

const isIn = (path: string, ...rooms: readonly string[]) => rooms.some((room) => path === room || path.startsWith(`${room}/`))

const isSource = (path: string) => path === 'plugin.ts' || isIn(path, ...SOURCE_ROOMS)

/** Whether `path` may import this file of the project. No import leads upwards. */
function mayImport (path: string, { target, how }: Import): boolean {
  if (isIn(path, 'registry')) return isIn(target, 'registry')
  if (path === 'backends/index.ts') return isIn(target, 'registry') || (isIn(target, 'backends') && how !== 'static')
  if (isIn(path, 'backends')) return isIn(target, 'registry') || (isIn(target, 'backends') && backendOf(target) === backendOf(path))
  if (isIn(path, 'response')) return isIn(target, 'registry') || (isIn(target, 'response') && floorOf(target) <= floorOf(path))
  if (path === 'plugin.ts') return isIn(target, 'response', 'registry', 'backends/index.ts')
  if (isIn(path, 'test/kit')) return isIn(target, 'test/kit') || (isIn(target, 'registry') && how === 'types')
  if (isIn(path, ...OUTSIDE_ROOMS)) return isIn(target, path.split('/')[0] as string)
  return true
}

/** Whether `path` may import this package. */
function mayUse (path: string, { target, how }: Import, { dependencies, name }: Rules): boolean {
  const packageName = target.split('/').slice(0, target.startsWith('@') ? 2 : 1).join('/')
  if (target.startsWith('node:')) return true
  if (builtinModules.includes(target)) return false
  if (isIn(path, ...OUTSIDE_ROOMS)) return true
  if (OPTIONAL_PEERS.includes(packageName)) return !isSource(path) || how === 'lazy'
  if (isIn(path, 'test/kit')) return false
  if (!isSource(path)) return true
  // A file of the package that imports the package by its name would load it a second time.
  if (packageName === name) return false
  return dependencies.includes(packageName) || (packageName === 'fastify' && how === 'types')
}

export function wrongImports (files: readonly Source[], rules: Rules): string[] {
  return files.flatMap((file) => importsOf(file)
    .filter((found) => !(found.target.endsWith('.ts') ? mayImport(file.path, found) : mayUse(file.path, found, rules)))
    .map(({ target, how }) => `${file.path} imports ${target} (${how})`))
}

/** Files that import each other, types included: the files of each circle, by path. */
export function circles (files: readonly Source[]): string[][] {
  const targets = new Map(files.map((file) => [file.path, importsOf(file).map(({ target }) => target)]))
  const reached = new Map([...targets.keys()].map((path) => [path, from(path)]))
  function from (start: string): Set<string> {
    const seen = new Set<string>()
    const left = [...targets.get(start) ?? []]
    for (let path = left.pop(); path !== undefined; path = left.pop()) {
      if (seen.has(path)) continue
      seen.add(path)
      left.push(...targets.get(path) ?? [])
    }
    return seen
  }
  const isWith = (one: string, other: string): boolean => reached.get(one)!.has(other) && reached.get(other)!.has(one)
  const found = [...targets.keys()].map((path) => [...targets.keys()].filter((other) => isWith(path, other)).sort())
  return found.filter((circle, at) => circle.length > 0 && found.findIndex(([first]) => first === circle[0]) === at)
}

export function longFiles (files: readonly Source[]): string[] {
  return files.map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > MAX_FILE_LINES)
    .map(({ path, lines }) => `${path} has ${lines} lines`)
}

export function longFunctions (files: readonly Source[]): string[] {
  return files.flatMap((file) => functionsOf(file)
    .filter(({ lines }) => lines > MAX_FUNCTION_LINES)
    .map(({ name, lines }) => `${file.path}: ${name} has ${lines} lines`))
}

export function withoutFirstComment (files: readonly Source[]): string[] {
  return files.filter(({ text }) => !/^(?:#!.*\n)?\/\/ \S.{9,}/.test(text)).map(({ path }) => `${path} does not say what it contains`)
}

export function strayTimers (files: readonly Source[]): string[] {
  return files.filter((file) => file.path !== 'registry/background.ts' && mentions(file, 'setInterval'))
    .map(({ path }) => `${path} uses setInterval`)
}

export function printers (files: readonly Source[]): string[] {
  return files.filter((file) => mentions(file, 'console')).map(({ path }) => `${path} uses console`)
}
