// An application built twice from the same routes, with the cache and without it. Each request goes to both, and the oracles watch
// both until they are closed.
import { dirname, join } from 'node:path'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import responseCache, { builtIns, type CommonOptions, type Registry, type ResponseCache, type ResponseCacheOptions } from '../../plugin.js'
import type { CacheBackend } from '../../registry/backend.js'
import { duration } from '../../registry/check.js'
import { testClock, type TestClock } from './clock.js'
import { send, sendBytes, type ClientResponse, type Ask } from './client.js'
import { Canaries, differences, Heap, latency, Quiet, Resources, Versions, type Comparable } from './oracles.js'
import { newFolder } from './folder.js'
import { waitedMs } from './loop.js'
import { inTurn } from './size.js'

/** What `routes` receives about the application that it builds. */
export interface Probe {
  /** Whether this is the application with the cache. */
  readonly cached: boolean
  readonly clock: TestClock
  /** The options with which `build` registers the plugin, for a test that registers it itself. */
  readonly options: ResponseCacheOptions
  /** Counts a run of a handler. Returns how many there were. */
  ran (name?: string): number
  /** The version of the data, to be read when the handler starts and sent as `x-version` (O6). */
  version (): string
}

export interface Spec extends Omit<CommonOptions, 'now'> {
  /** Builds the application. Called for both, so it must count with the probe. */
  routes (app: FastifyInstance, probe: Probe): unknown
  /** Called in the same way before the plugin is registered. */
  before? (app: FastifyInstance, probe: Probe): unknown
  /** False: `routes` registers the plugin itself. */
  register?: boolean
  backend?: string
  options?: object
  clock?: TestClock
  fastify?: FastifyServerOptions & { http2?: boolean, https?: object }
  /** What is compared in every response (O1). False: nothing. */
  compare?: Comparable | false
  /** Bytes that the cache may use. If given, the heap is measured (O7). */
  heapBytes?: number
}

export type AskMore = Ask & {
  /** What is compared in this response, instead of what `build` was told. */
  compare?: Comparable | false
  /** The backend is slow: the request may cost the deadline more than without the cache (O3). */
  slow?: boolean
}

export interface TestApp {
  readonly app: FastifyInstance
  readonly control: FastifyInstance
  readonly cache: ResponseCache
  /** The backends that were opened, the plugin's own last. */
  readonly backends: readonly CacheBackend[]
  readonly clock: TestClock
  /** Lines of the cached application's log, parsed. */
  readonly logs: ReadonlyArray<Record<string, any>>
  /** Sends the request to both applications, compares the responses, and returns that of the cached one. */
  ask (ask: string | AskMore): Promise<ClientResponse>
  /** Sends raw bytes to both, and compares the responses except for the fields that may differ. */
  raw (bytes: string | Buffer): Promise<string>
  /** How often handlers ran in the cached application. */
  runs (name?: string): number
  /** The principal's own text, which no one else may receive (O2). */
  canary (principal: string, options?: { mayBeStored?: boolean }): string
  /** Changes the data and invalidates it (O6). */
  change (invalidate: () => Promise<unknown>): Promise<void>
  /** The warnings that the cache logged. */
  warnings (): Array<Record<string, any>>
}

interface Side { app: FastifyInstance, lines: string[], runs: Map<string, number> }

/** The state of one test that both applications and the oracles share. */
interface Run {
  readonly spec: Spec
  readonly clock: TestClock
  readonly cached: Side
  readonly control: Side
  readonly backends: CacheBackend[]
  readonly canaries: Canaries
  readonly versions: Versions
  /** The violations that the oracles found. */
  readonly wrong: string[]
}

const CLOSE_MS = 2_000

export async function build (t: Test, spec: Spec): Promise<TestApp> {
  const {
    routes, before, register = true, fastify: server = {}, clock = testClock(), compare: _compare, heapBytes, backend = 'memory',
    options = {}, ...common
  } = spec
  const watches = { resources: new Resources(), heap: heapBytes === undefined ? undefined : new Heap(), quiet: new Quiet() }
  const versions = new Versions()
  const { registry, backends } = watched(common.registry ?? builtIns())
  const pluginOptions = { ...common, registry, backend, options, now: clock.now } as unknown as ResponseCacheOptions
  const start = async (isCached: boolean): Promise<Side> => {
    const side: Side = { ...newServer(server), runs: new Map() }
    const probe: Probe = {
      cached: isCached,
      clock,
      options: pluginOptions,
      ran: (name = 'handler') => countRun(side, name),
      version: () => String(versions.current)
    }
    await before?.(side.app, probe)
    if (isCached && register) await side.app.register(responseCache, pluginOptions)
    if (!isCached) side.app.decorateReply('cache', function () { return this })
    await routes(side.app, probe)
    return side
  }
  const [cached, control] = await Promise.all([start(true), start(false)])
  const run: Run = { spec, clock, cached, control, backends, canaries: new Canaries(), versions, wrong: [] }
  t.teardown(async () => await conclude(t, run, watches))
  await Promise.all([cached.app.ready(), control.app.ready()])
  return testApp(run)
}

/** Makes the registry record the backends that it opens. */
function watched (registry: Registry): { registry: Registry, backends: CacheBackend[] } {
  const backends: CacheBackend[] = []
  const open = registry.open.bind(registry)
  registry.open = async (...args) => {
    const opened = await open(...args)
    backends.push(opened)
    return opened
  }
  return { registry, backends }
}

function countRun ({ runs }: Side, name: string): number {
  const times = (runs.get(name) ?? 0) + 1
  runs.set(name, times)
  return times
}

async function conclude (
  t: Test, run: Run, { resources, heap, quiet }: { resources: Resources, heap: Heap | undefined, quiet: Quiet }
): Promise<void> {
  const { cached, control, canaries, wrong } = run
  for (const one of run.backends) wrong.push(...await canaries.inBackend(one).catch(() => []))
  const closingAt = performance.now()
  await cached.app.close()
  if (performance.now() - closingAt > CLOSE_MS) wrong.push(`O5: closing took ${(performance.now() - closingAt).toFixed(0)} ms`)
  await control.app.close()
  wrong.push(...await resources.left(), ...canaries.inLogs(cached.lines, control.lines), ...await quiet.end())
  if (heap !== undefined) wrong.push(...heap.beyond(run.spec.heapBytes as number))
  // The test itself has ended, so the failure goes to its parent. A throw here would end the whole file.
  if (wrong.length > 0) (t.parent as Test | undefined ?? t).fail(`oracles of "${t.name}" find nothing`, { oracles: [...new Set(wrong)] })
}

function testApp (run: Run): TestApp {
  const { cached: { app, lines, runs }, control, backends, clock, canaries, versions, spec } = run
  return {
    app,
    control: control.app,
    backends,
    clock,
    get cache () { return (app as unknown as Record<string, ResponseCache>)[spec.decorateAs ?? 'cache'] as ResponseCache },
    get logs () { return lines.map((line) => JSON.parse(line)) },
    ask: async (given) => await askBoth(run, typeof given === 'string' ? { url: given } : given),
    raw: async (bytes) => await sendBoth(run, bytes),
    runs: (name = 'handler') => runs.get(name) ?? 0,
    canary: (principal, options) => canaries.of(principal, options),
    change: async (invalidate) => await versions.change(invalidate),
    warnings: () => lines.map((line) => JSON.parse(line)).filter(({ level, msg }) => level === 40 && /^cache: /.test(msg))
  }
}

async function askBoth ({ cached, control, canaries, versions, wrong, spec }: Run, ask: AskMore): Promise<ClientResponse> {
  const isCurrent = versions.watch()
  const waited = waitedMs()
  const response = await send(cached.app, ask)
  const busyMs = waitedMs() - waited
  wrong.push(...canaries.inResponse(ask, response), ...isCurrent(response))
  const compared = ask.compare ?? spec.compare ?? {}
  if (compared === false && ask.slow !== true) return response
  const expected = await send(control.app, ask)
  if (compared !== false) {
    wrong.push(...differences(response, expected, compared).map((line) =>
      `${line} (${ask.method ?? 'GET'} ${ask.url}, ${response.cacheStatus})`))
  }
  const deadlineMs = duration()(spec.deadline ?? '100ms', 'deadline')
  if (ask.slow === true) wrong.push(...latency(response, expected, { deadlineMs, busyMs }))
  return response
}

async function sendBoth ({ cached, control, wrong, spec }: Run, bytes: string | Buffer): Promise<string> {
  const response = await sendBytes(cached.app, bytes)
  const plain = (text: string): string => text.replace(/^(?:(?:age|cache-status|date|x-version):|accept-ranges: bytes).*\r\n/gim, '')
    .split('\r\n\r\n').map((part) => part.split('\r\n').sort().join('\r\n')).join('\r\n\r\n')
  if (spec.compare !== false && plain(response) !== plain(await sendBytes(control.app, bytes))) {
    wrong.push(`O1: to these bytes the cache responds differently: ${JSON.stringify(bytes.toString('latin1').slice(0, 200))}`)
  }
  return response
}

function newServer (options: Spec['fastify']): { app: FastifyInstance, lines: string[] } {
  const lines: string[] = []
  const app = Fastify({
    logger: { level: 'trace', stream: { write: (line: string) => { lines.push(line) } } }, ...options
  } as object) as unknown as FastifyInstance
  return { app, lines }
}

/** The backends that every test of the plugin runs on. In reduced size, half of the tests run on each. */
export const BACKENDS = ['memory', 'sqlite'] as const

/** A path for a database of the test's own. */
export function databasePath (t: Test): string {
  return join(newFolder(t), 'cache.db')
}

/** With `BACKENDS=memory` only that backend is used. */
const isAsked = (backend: string): boolean => process.env.BACKENDS?.split(',').includes(backend) ?? true

/** Runs a test on each backend. `on` is for `build`. */
export async function forEachBackend (
  t: Test, run: (t: Test, on: { backend: string, options: object }) => Promise<unknown>, backends?: ReadonlyArray<keyof typeof OPTIONS>
): Promise<void> {
  for (const backend of backends?.filter(isAsked) ?? inTurn(BACKENDS.filter(isAsked))) {
    await t.test(`on ${backend}`, async (t) => {
      await run(t, { backend, options: OPTIONS[backend](t) })
    })
  }
}

const OPTIONS = {
  memory: () => ({}),
  sqlite: (t: Test) => ({ path: databasePath(t) }),
  file: (t: Test) => ({ dir: dirname(databasePath(t)) }),
  tiered: (t: Test) => ({ tiers: [{ backend: 'memory' }, { backend: 'sqlite', options: OPTIONS.sqlite(t) }] })
}
