// A backend on a third party's store, for a test: a clock, background tasks on command, entries.
import type { Test } from 'tap'
import type { CacheBackend } from '../../registry/backend.js'
import type { BackendDefinition } from '../../registry/registry.js'
import { testClock } from './clock.js'

const silent = { debug () {}, info () {}, warn () {}, error () {} }

/** The timeout of a call in tests in which stores hang. */
export const SHORT = '150ms'

export interface Opened {
  readonly backend: CacheBackend
  readonly clock: ReturnType<typeof testClock>
  /** Background tasks by name. Calling one runs it. */
  readonly tasks: Map<string, () => unknown>
}

export async function open<Options> (t: Test, definition: BackendDefinition<Options>, options: Options): Promise<Opened> {
  const clock = testClock()
  const tasks = new Map<string, () => unknown>()
  const backend = await definition.create(options, {
    now: clock.now,
    log: silent,
    signal: new AbortController().signal,
    background: {
      every (name, _intervalMs, run) {
        tasks.set(name, run)
        return { cancel: async () => { tasks.delete(name) } }
      }
    },
    open: () => { throw new Error('opens no other backend') }
  })
  t.teardown(async () => await backend.close())
  return { backend, clock, tasks }
}

/** The number of error listeners. */
export function listeners (emitter: { listeners (event: string): unknown[] }): number {
  return emitter.listeners('error').length
}
