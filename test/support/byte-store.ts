// A byte store in memory that hangs and fails on command, and the backend on it.
import type { Test } from 'tap'
import { ByteBackend } from '../../registry/byte-store/backend.js'
import type { ByteStore, Listed } from '../../registry/byte-store/byte-store.js'
import { nameOf, storedKey } from '../../registry/codec.js'
import type { BackendContext } from '../../registry/registry.js'
import { testClock } from './clock.js'

/** The name under which a key is stored. */
export const name = (key: string): string => nameOf(storedKey(key))

/** A store in memory that calls `act` before each operation, and records the operations. */
export class TestStore implements ByteStore {
  readonly held = new Map<string, Uint8Array>()
  readonly asked: string[] = []
  removesExpired = false
  closes = 0
  act: (operation: string, name: string) => unknown = () => undefined

  async get (name: string): Promise<Uint8Array | undefined> {
    await this.#ask('get', name)
    return this.held.get(name)
  }

  async set (name: string, bytes: Uint8Array): Promise<void> {
    await this.#ask('set', name)
    this.held.set(name, bytes)
  }

  async delete (name: string): Promise<void> {
    await this.#ask('delete', name)
    this.held.delete(name)
  }

  async * list (): AsyncGenerator<Listed> {
    for (const name of this.held.keys()) {
      await this.act('list', name)
      yield { name }
    }
  }

  close (): void { this.closes++ }

  async #ask (operation: string, name: string): Promise<void> {
    this.asked.push(operation)
    await this.act(operation, name)
  }
}

export interface Worn {
  readonly backend: ByteBackend
  /** Runs the cleanup. */
  readonly sweep: () => unknown
  readonly clock: ReturnType<typeof testClock>
}

export function wear (t: Test, store: ByteStore, { timeoutMs = 1_000, clock = testClock() } = {}): Worn {
  let sweep: () => unknown = () => undefined
  const background = {
    every: (_name: string, _intervalMs: number, run: () => unknown) => { sweep = run; return { cancel: async () => {} } }
  }
  const backend = new ByteBackend(store, { name: 'test', timeoutMs, cleanupIntervalMs: 1_000 }, {
    now: clock.now, background
  } as unknown as BackendContext)
  t.teardown(() => backend.close())
  return { backend, sweep: () => sweep(), clock }
}
