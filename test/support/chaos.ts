// A backend that fails on command, method by method: `chaos.get.hang()`, `chaos.set.applyAndReject()`, `chaos.get.heal()`.
import { setTimeout as sleep } from 'node:timers/promises'
import { builtIns } from '../../backends/index.js'
import type { CacheBackend, StoredEntry } from '../../registry/backend.js'
import { powersOf, REQUIRED_METHODS } from '../../registry/backend.js'
import type { BackendChoice } from '../../registry/names.js'
import { defineBackend, type Registry } from '../../registry/registry.js'
import { Barrier, turns, until } from './barrier.js'

type Method = keyof CacheBackend
/** What happens instead of a call. `act` makes the call, and the others are the call's arguments. */
type Fault = (act: () => unknown, argument: unknown, option?: unknown) => unknown

export class ChaosError extends Error {
  override readonly name = 'ChaosError'
}

/** One method of the backend: its behaviour and its calls. A command lasts until the next one or `heal()`. */
export class ChaosMethod {
  /** The first argument of every call so far: a key, a list of keys, a prefix. */
  readonly calls: unknown[] = []
  /** How many calls have not settled. */
  running = 0
  #fault: Fault | undefined
  #barrier = new Barrier()
  #meant: (key: string) => boolean = () => true

  /** The next command applies to these keys only. */
  only (meant: (key: string) => boolean): this {
    this.#meant = meant
    return this
  }

  /** Throws synchronously. */
  throw (error: unknown = new ChaosError('thrown')): void { this.#become(() => { throw error }) }
  /** Rejects, without making the call. */
  reject (error: unknown = new ChaosError('rejected')): void { this.#become(() => Promise.reject(error)) }
  /** Makes the call in a later turn. */
  later (): void { this.#become(async (act) => { await null; return await act() }) }
  /** Makes the call after this time. */
  delay (ms: number): void { this.#become(async (act) => { await sleep(ms); return await act() }) }
  /** Makes the call only after `release()`. */
  hang (): void { this.#become(async (act) => { await this.#barrier.pass(); return await act() }) }
  /** Makes the call at once, and returns its result after `release()`. */
  stall (): void { this.#become(async (act) => { const done = await act(); await this.#barrier.pass(); return done }) }
  /** Returns this value, whatever it is, without making the call. */
  return (value: unknown): void { this.#become(() => value) }
  /** Makes the call and changes its result. */
  mangle (change: (result: any) => unknown): void { this.#become(async (act) => change(await act())) }
  /** Makes the call, and rejects anyway. */
  applyAndReject (error: unknown = new ChaosError('applied, and rejected')): void {
    this.#become(async (act) => { await act(); throw error })
  }

  /** Makes the call, and throws anyway. */
  applyAndThrow (error: unknown = new ChaosError('applied, and thrown')): void { this.#become((act) => { act(); throw error }) }

  /** Any other behaviour. */
  instead (fault: Fault): void { this.#become(fault) }

  /** Ends the command. Hanging calls go on hanging. */
  heal (): void {
    this.#fault = undefined
    this.#meant = () => true
  }

  /** Releases hanging calls. */
  release (): void {
    const released = this.#barrier
    this.#barrier = new Barrier()
    released.open()
  }

  /** How many calls hang. */
  get hanging (): number { return this.#barrier.waiting }

  /** Resolves when `count` calls have hung since the last release. */
  async hangs (count = 1): Promise<void> { await this.#barrier.reached(count) }

  /** @internal */
  run (act: () => unknown, argument: unknown, option?: unknown): unknown {
    this.calls.push(argument)
    const keys = (Array.isArray(argument) ? argument : [argument ?? '']) as string[]
    const result = this.#fault === undefined || !keys.some(this.#meant) ? act() : this.#fault(act, argument, option)
    if (result instanceof Promise) {
      this.running++
      const end = (): void => { this.running-- }
      result.then(end, end)
    }
    return result
  }

  #become (fault: Fault): void {
    this.#fault = fault
  }
}

/** A backend whose methods can each be broken on command. */
export class Chaos {
  readonly get = new ChaosMethod()
  readonly set = new ChaosMethod()
  readonly delete = new ChaosMethod()
  readonly close = new ChaosMethod()
  readonly has = new ChaosMethod()
  readonly clear = new ChaosMethod()
  readonly keys = new ChaosMethod()
  readonly size = new ChaosMethod()
  readonly stats = new ChaosMethod()
  readonly getMany = new ChaosMethod()
  readonly claim = new ChaosMethod()
  readonly settle = new ChaosMethod()
  readonly version = new ChaosMethod()
  /** The backend behind the chaos. */
  inner: CacheBackend | undefined
  readonly #methods: readonly Method[] | undefined

  /** `methods`: the backend has only these, whatever the inner backend has. */
  constructor ({ methods }: { methods?: readonly Method[] } = {}) {
    this.#methods = methods
  }

  /** The method by which the cache stores what a fill produced: `settle`, if the backend has claims. */
  get fills (): ChaosMethod {
    return this.inner?.settle === undefined ? this.set : this.settle
  }

  /** The name of that method, as it is in `stats().errors`. */
  get fillsBy (): 'set' | 'settle' {
    return this.fills === this.set ? 'set' : 'settle'
  }

  /** Resolves once everything that is stored has been written. Until then, reads of the cache don't reach the backend. */
  async written (): Promise<void> {
    await until(() => this.set.running + this.settle.running === 0)
    await turns()
  }

  /** Wraps `inner`, so that commands apply to it. */
  wrap (inner: CacheBackend): CacheBackend {
    this.inner = inner
    const methods = this.#methods ?? [...REQUIRED_METHODS, ...powersOf(inner)]
    const wrapped = methods.map((method) => {
      const act = inner[method] as (...args: unknown[]) => unknown
      return [method, (...args: unknown[]) => this[method].run(() => act.apply(inner, args), args[0], args[1])]
    })
    return Object.fromEntries(wrapped)
  }

  /** Plugin options for the backend of `choice`, through a registry in which it is called 'chaos'. */
  over (choice: BackendChoice = { backend: 'memory' }): { registry: Registry, backend: 'memory' } {
    const definition = defineBackend({ name: 'chaos', create: async (_options: object, context) => this.wrap(await context.open(choice)) })
    // Packages add names to the types. This one is left out, because it would appear in what other tests compile.
    const name = 'chaos' as 'memory'
    return { registry: builtIns().add(name, () => definition), backend: name }
  }

  /** Every method that reads or changes entries, and those that coordinate processes. */
  get all (): readonly ChaosMethod[] {
    return [this.get, this.getMany, this.set, this.delete, this.clear, this.claim, this.settle, this.version]
  }

  /** Gives one command to all of them, as when the network fails or recovers. */
  each (command: (method: ChaosMethod) => void): void {
    this.all.forEach(command)
  }
}

/** Keys of the stamps of tags, in the namespace ''. */
export const isStamp = (key: string): boolean => key.startsWith('0:t ')
/** Keys of the stored responses of routes, in the namespace ''. */
export const isResponse = (key: string): boolean => key.startsWith('0:r ')

/** Results of a read that are not one of our entries. `entry` is a good one, `other` is that of another key. */
export function garbage (entry: StoredEntry, other: StoredEntry): ReadonlyArray<readonly [name: string, result: unknown]> {
  const { value, expiresAt } = entry
  const flipped = Uint8Array.from(value)
  flipped[flipped.length - 1]! ^= 1
  const trap = { get value (): never { throw new ChaosError('a getter that throws') }, expiresAt }
  const thenable = { then (): never { throw new ChaosError('a then that throws') } }
  return [
    ['a number', 42], ['null', null], ['a string', 'garbage'], ['true', true], ['an empty object', {}], ['a list', [entry]],
    ['a symbol', Symbol('x')], ['a function', () => entry], ['an Error', new ChaosError('returned')],
    ['a value that is text', { value: 'text', expiresAt }], ['a value of null', { value: null, expiresAt }], ['no instant', { value }],
    ['an instant that is text', { value, expiresAt: String(expiresAt) }], ['NaN for an instant', { value, expiresAt: NaN }],
    ['no bytes', { value: new Uint8Array(0), expiresAt }], ['truncated bytes', { value: value.subarray(0, value.length - 1), expiresAt }],
    ['half of the bytes', { value: value.subarray(0, value.length >> 1), expiresAt }],
    ['one byte too many', { value: Buffer.concat([value, Buffer.from('x')]), expiresAt }], ['a flipped bit', { value: flipped, expiresAt }],
    ["another key's bytes", other], ['a getter that throws', trap], ['a then that throws', thenable],
    ['a promise of a number', Promise.resolve(42)], ['a promise of a getter that throws', Promise.resolve(trap)]
  ]
}
