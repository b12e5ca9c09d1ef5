// An adapter of Keyv for tests, which does before each call what it is told.
import { EventEmitter } from 'node:events'

/** It holds what it is given in a map. `act` runs first; of a set, what it answers is the adapter's answer. */
export class TestAdapter extends EventEmitter {
  readonly opts = {}
  readonly held = new Map<string, unknown>()
  disconnects = 0
  act: (operation: string) => unknown = () => undefined

  async get (key: string): Promise<unknown> {
    await this.act('get')
    return this.held.get(key)
  }

  async set (key: string, value: unknown): Promise<unknown> {
    if (await this.act('set') === false) return false
    this.held.set(key, value)
  }

  async delete (key: string): Promise<boolean> {
    await this.act('delete')
    return this.held.delete(key)
  }

  async clear (): Promise<void> { throw new Error('is never called') }
  async disconnect (): Promise<void> { this.disconnects++ }
}
