// Unpacks the public test suite for HTTP caches at one commit from a clone, loads it, and starts its origin server.
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

/** The suite's commit, with which the saved results were made. The suite's version number doesn't identify its tests. */
export const SUITE_COMMIT = 'b55b8bda3dbb8c927c04e85bd8d496a8caa3e4ba'
const SUITE_URL = 'https://github.com/http-tests/cache-tests.git'

/** A test, with the members of the suite's own declaration that are read here. */
export interface Test {
  readonly id: string
  readonly name: string
  /** The kind of the test. If absent, the test is required. */
  readonly kind?: 'required' | 'optimal' | 'check'
  readonly depends_on?: readonly string[]
  readonly browser_only?: boolean
  /** If true, the suite prints the requests and responses. */
  dump?: boolean
}

/** A topic of the suite with its tests. */
export interface Topic {
  readonly id: string
  readonly name: string
  readonly tests: readonly Test[]
}

/** The suite's result for one test: true, or the name and message of an error. */
export type RawResult = true | readonly [name: string, message: string]
export type RawResults = Readonly<Record<string, RawResult>>

/** The suite's own functions. */
export interface Suite {
  readonly topics: readonly Topic[]
  /** Returns the suite's name for its verdict on a test. This is `dependency_fail` if a test on which it depends has not passed. */
  verdictOf (id: string, results: RawResults): string
}

/** Unpacks the suite into `folder`, from a checkout or a git directory, or else from a clone that it creates in `folder`. */
export function unpackSuite (folder: string, from: string | undefined): string {
  const suite = join(folder, 'suite')
  mkdirSync(suite)
  const clone = from ?? join(folder, 'clone.git')
  if (from === undefined) {
    console.log(`cloning ${SUITE_URL}; set CACHE_TESTS_DIR to use an existing clone`)
    git(['clone', '--quiet', '--bare', SUITE_URL, clone])
  }
  execFileSync('tar', ['-x', '-C', suite], { input: git(['-C', clone, 'archive', SUITE_COMMIT, 'tests', 'test-engine', 'package.json']) })
  // The suite needs only one dependency at run time.
  mkdirSync(join(suite, 'node_modules'))
  symlinkSync(dirname(createRequire(import.meta.url).resolve('undici/package.json')), join(suite, 'node_modules', 'undici'), 'dir')
  return suite
}

function git (args: readonly string[]): Buffer {
  return execFileSync('git', args, { stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 28 })
}

/** Loads a module of the suite. */
async function load<T> (suite: string, path: string): Promise<T> {
  return await import(pathToFileURL(join(suite, path)).href) as T
}

export async function loadSuite (suite: string): Promise<Suite> {
  const { default: topics } = await load<{ default: readonly Topic[] }>(suite, 'tests/index.mjs')
  const { determineTestResult, resultTypes } = await load<{
    determineTestResult (topics: readonly Topic[], id: string, results: RawResults): readonly string[]
    resultTypes: Readonly<Record<string, readonly string[]>>
  }>(suite, 'test-engine/lib/results.mjs')
  const names = new Map(Object.entries(resultTypes).map(([name, type]) => [type, name]))
  return { topics, verdictOf: (id, results) => names.get(determineTestResult(topics, id, results)) as string }
}

/** Runs these tests through the cache at `url`. A process can do this only once, because the suite keeps its results in a module. */
export async function runTests (suite: string, ids: ReadonlySet<string>, dumped: ReadonlySet<string>, url: string): Promise<RawResults> {
  const { topics } = await loadSuite(suite)
  const runner = await load<{
    runTests (topics: readonly Topic[], isBrowser: boolean, url: string): Promise<void>
    getResults (): RawResults
  }>(suite, 'test-engine/client/runner.mjs')
  const chosen = topics.map((topic) => ({ ...topic, tests: topic.tests.filter(({ id }) => ids.has(id)) }))
  for (const test of chosen.flatMap(({ tests }) => tests)) if (dumped.has(test.id)) test.dump = true
  await runner.runTests(chosen, false, url)
  return runner.getResults()
}

/** Starts the suite's origin server on a free port. The server ends when `signal` is aborted. */
export async function startOrigin (suite: string, signal: AbortSignal): Promise<number> {
  const env = {
    ...process.env, npm_config_protocol: 'http', npm_config_port: '0', npm_config_pidfile: join(suite, `origin-of-${process.pid}.pid`)
  }
  const child = spawn(process.execPath, [join(suite, 'test-engine', 'server', 'server.mjs')], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  signal.addEventListener('abort', () => child.kill())
  return await new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the suite's origin server ended with ${code}`)))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const port = /^Listening on .*:(\d+)\/$/.exec(line)?.[1]
      if (port === undefined) console.log(line)
      else resolve(Number(port))
    })
  })
}
