// An adapter of Keyv for tests that calls `act` before each operation.
import { EventEmitter } from 'node:events'

/** An adapter on a map. `act` runs first. If it returns false for a set, the set returns false. */
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
