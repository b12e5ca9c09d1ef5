// What must not compile, for whoever uses the package and for whoever wrote it. Compiled, and never run.
import Fastify from 'fastify'
import responseCache, {
  builtIns, defineBackend, fromStringStore, type BackendChoice, type BackendName, type CacheBackend
} from 'fastify-response-cache'
import { conformance, skipReason, type ConformanceSubject, type Lever } from 'fastify-response-cache/test-kit'
import jsonFile, { type JsonFileOptions } from './index.js'
import { JsonFile } from './json-file.js'

const path = 'cache.json'
const now = Date.now

// A choice, wherever it is made.
const app = Fastify()
await app.register(responseCache, { backend: 'json-file', options: { path } })
// @ts-expect-error an option that it does not have
await app.register(responseCache, { backend: 'json-file', options: { path, table: 'a' } })
// @ts-expect-error an option of the wrong type
await app.register(responseCache, { backend: 'json-file', options: { path: 5 } })
// @ts-expect-error a required option is missing
await app.register(responseCache, { backend: 'json-file', options: {} })
// @ts-expect-error all options are missing
await app.register(responseCache, { backend: 'json-file' })
// @ts-expect-error a name that nobody declared
await app.register(responseCache, { backend: 'json-fiel', options: { path } })
// @ts-expect-error another backend's options
await app.register(responseCache, { backend: 'memory', options: { path } })

export const choices: BackendChoice[] = [
  { backend: 'json-file', options: { path } },
  { backend: 'tiered', options: { tiers: [{ backend: 'memory' }, { backend: 'json-file', options: { path } }] } },
  // @ts-expect-error the options of a tier are checked too
  { backend: 'tiered', options: { tiers: [{ backend: 'memory' }, { backend: 'json-file' }] } }
]
export const name: BackendName = 'json-file'
// @ts-expect-error a name that nobody declared
export const wrongName: BackendName = 'json'

// A name and its loader.
builtIns().add('json-file', () => import('./index.js').then((module) => module.default))
// @ts-expect-error this definition under another backend's name
builtIns().add('memory', () => jsonFile)
// @ts-expect-error the same, when it is loaded later
builtIns().add('sqlite', () => import('./index.js').then((module) => module.default))
// @ts-expect-error another backend's definition under this name
builtIns().add('json-file', () => defineBackend<{ table: string }>({ name: 'table', create: () => new JsonFile(path, now) }))
// @ts-expect-error the module and not its definition
builtIns().add('json-file', () => import('./index.js'))
// @ts-expect-error the definition and not a function
builtIns().add('json-file', jsonFile)
// @ts-expect-error a name that nobody declared
builtIns().add('json-fiel', () => jsonFile)
// @ts-expect-error a choice is checked where it is opened
await builtIns().open({ backend: 'json-file', options: { table: 'a' } })

// A backend and its methods.
const { get, set, delete: remove, close } = new JsonFile(path, now)
export const whole: CacheBackend = { get, set, delete: remove, close }
// @ts-expect-error a method is missing
export const withoutDelete: CacheBackend = { get, set, close }
// @ts-expect-error text and not an entry
export const text: CacheBackend = { get: () => 'text', set, delete: remove, close }
// @ts-expect-error null and not undefined
export const absent: CacheBackend = { get: () => null, set, delete: remove, close }
// @ts-expect-error seconds and not an entry
export const seconds: CacheBackend = { get, set: (_key: string, _value: string, _timeout: number) => {}, delete: remove, close }
// @ts-expect-error an optional method that returns something else
export const power: CacheBackend = { get, set, delete: remove, close, has: () => 'yes' }
// @ts-expect-error a class without close
export class Unclosed implements CacheBackend { get () { return undefined } set () {} delete () {} }
// @ts-expect-error a definition whose create returns something else
defineBackend<JsonFileOptions>({ name: 'json-file', create: () => new Map() })
// @ts-expect-error an option that the definition doesn't have
defineBackend<JsonFileOptions>({ name: 'json-file', create: ({ table }) => new JsonFile(table, now) })
// @ts-expect-error bytes and not text
fromStringStore({ get: () => Buffer.alloc(0), set () {}, delete () {}, close () {} })

// A subject and its levers.
const open = async (): Promise<CacheBackend> => new JsonFile(path, now)
const pass = async (): Promise<void> => {}
const subject: ConformanceSubject = { now, pass, open, hang: () => () => {}, program: { module: 'program.js', where: () => path } }
export const outcome: Promise<'passed' | 'skipped'> = conformance[0]!.run(subject)
export const reason: string | undefined = skipReason(conformance[0]!, subject, await open())
// @ts-expect-error no clock
export const withoutClock: ConformanceSubject = { pass, open }
// @ts-expect-error a backend and not a promise of one
export const now_: ConformanceSubject = { now, pass, open: () => new JsonFile(path, now) }
// @ts-expect-error a lever that nobody knows
export const unknown: ConformanceSubject = { now, pass, open, explode: () => {} }
// @ts-expect-error a fault that never ends
export const endless: ConformanceSubject = { now, pass, open, hang: () => {} }
// @ts-expect-error a program that nobody can find again
export const nowhere: ConformanceSubject = { now, pass, open, program: { module: 'program.js' } }
// @ts-expect-error nothing is run without a subject
conformance[0]!.run()
// @ts-expect-error a lever's name
export const lever: Lever = 'explode'
