// A file backend for a test: a clock that stands still, its warnings, its cleanup on command, the files that it made.
import { hash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Test } from 'tap'
import file, { type FileOptions } from '../../backends/file.js'
import type { CacheBackend } from '../../registry/backend.js'
import type { CacheLog } from '../../registry/registry.js'
import { byHand } from './by-hand.js'
import { testClock, type TestClock } from './clock.js'

export interface OpenedFiles {
  readonly backend: Required<CacheBackend>
  /** Runs the background task once. */
  cleanup (): Promise<void>
}

type Warn = CacheLog['warn']

/** `warn` receives the backend's warnings. Without it, a warning fails the test. */
export async function openFiles (t: Test, options: FileOptions, { now }: TestClock = testClock(), warn?: Warn): Promise<OpenedFiles> {
  const { background, cleanup } = byHand(t)
  const fail = () => t.fail('a backend logs nothing')
  const backend = await file.create(options, {
    now,
    log: { debug: fail, info: fail, error: fail, warn: warn ?? fail },
    signal: new AbortController().signal,
    background,
    open: () => { throw new Error('opens no other backend') }
  }) as Required<CacheBackend>
  t.teardown(() => backend.close())
  return { backend, cleanup }
}

/** The path of the entry under a well-formed key. */
export function pathIn (dir: string, key: string): string {
  const name = hash('sha256', key, 'hex')
  return join(dir, 'v1', name.slice(0, 2), name)
}

/** The paths of all files in the shards. */
export function filesIn (dir: string): string[] {
  const home = join(dir, 'v1')
  if (!existsSync(home)) return []
  return readdirSync(home).flatMap((shard) => readdirSync(join(home, shard)).map((name) => join(home, shard, name)))
}

/** Temporary files that have not been renamed yet. */
export function asideIn (dir: string): string[] {
  return filesIn(dir).filter((path) => basename(path).startsWith('.'))
}
