// A backend that fails on command, method by method: `chaos.get.hang()`, `chaos.set.applyAndReject()`, `chaos.get.heal()`.
import { setTimeout as sleep } from 'node:timers/promises'
import { builtIns } from '../../backends/index.js'
import type { CacheBackend, StoredEntry } from '../../registry/backend.js'
import { powersOf, REQUIRED_METHODS } from '../../registry/backend.js'
import type { BackendChoice } from '../../registry/names.js'
import { defineBackend, type Registry } from '../../registry/registry.js'
import { Barrier } from './barrier.js'

type Method = keyof CacheBackend
/** What happens in place of a call; `act` is the call itself, the others are what it was called with. */
type Fault = (act: () => unknown, argument: unknown, option?: unknown) => unknown

export class ChaosError extends Error {
  override readonly name = 'ChaosError'
}

/** One method of the backend: what it does, and who called it. Every command stays until the next one or `heal()`. */
export class ChaosMethod {
  /** The first argument of every call since the beginning: a key, a list of keys, a prefix. */
  readonly calls: unknown[] = []
  #fault: Fault | undefined
  #barrier = new Barrier()
  #meant: (key: string) => boolean = () => true

  /** The next command concerns these keys alone. */
  only (meant: (key: string) => boolean): this {
    this.#meant = meant
    return this
  }

  /** Throws before there is a promise. */
  throw (error: unknown = new ChaosError('thrown')): void { this.#become(() => { throw error }) }
  /** Rejects, and does nothing. */
  reject (error: unknown = new ChaosError('rejected')): void { this.#become(() => Promise.reject(error)) }
  /** Does what it is asked for in a later turn of the loop. */
  later (): void { this.#become(async (act) => { await null; return await act() }) }
  /** Does what it is asked for after this time. */
  delay (ms: number): void { this.#become(async (act) => { await sleep(ms); return await act() }) }
  /** Does nothing until it is released; then it does what it was asked for. */
  hang (): void { this.#become(async (act) => { await this.#barrier.pass(); return await act() }) }
  /** Does at once what it is asked for, and says so when it is released. */
  stall (): void { this.#become(async (act) => { const done = await act(); await this.#barrier.pass(); return done }) }
  /** Answers this, whatever it is, and does nothing. */
  answer (value: unknown): void { this.#become(() => value) }
  /** Does what it is asked for and changes the answer. */
  mangle (change: (answer: any) => unknown): void { this.#become(async (act) => change(await act())) }
  /** Does what it is asked for, and rejects all the same. */
  applyAndReject (error: unknown = new ChaosError('applied, and rejected')): void {
    this.#become(async (act) => { await act(); throw error })
  }

  /** Does what it is asked for, and throws all the same. */
  applyAndThrow (error: unknown = new ChaosError('applied, and thrown')): void { this.#become((act) => { act(); throw error }) }

  /** Anything else. */
  instead (fault: Fault): void { this.#become(fault) }

  /** From now on it works again. Who hangs goes on hanging. */
  heal (): void {
    this.#fault = undefined
    this.#meant = () => true
  }

  /** Lets go who hangs. */
  release (): void {
    const released = this.#barrier
    this.#barrier = new Barrier()
    released.open()
  }

  /** How many hang. */
  get hanging (): number { return this.#barrier.waiting }

  /** Settles when `count` have come to hang since the last release. */
  async hangs (count = 1): Promise<void> { await this.#barrier.reached(count) }

  /** @internal */
  run (act: () => unknown, argument: unknown, option?: unknown): unknown {
    this.calls.push(argument)
    const keys = (Array.isArray(argument) ? argument : [argument ?? '']) as string[]
    return this.#fault === undefined || !keys.some(this.#meant) ? act() : this.#fault(act, argument, option)
  }

  #become (fault: Fault): void {
    this.#fault = fault
  }
}

/** A backend with a method of chaos in front of each of its own. */
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
  /** What is behind the chaos. */
  inner: CacheBackend | undefined
  readonly #methods: readonly Method[] | undefined

  /** `methods`: the backend has these alone, whatever is behind it has. */
  constructor ({ methods }: { methods?: readonly Method[] } = {}) {
    this.#methods = methods
  }

  /** `inner`, at the mercy of the commands. */
  wrap (inner: CacheBackend): CacheBackend {
    this.inner = inner
    const methods = this.#methods ?? [...REQUIRED_METHODS, ...powersOf(inner)]
    const wrapped = methods.map((method) => {
      const act = inner[method] as (...args: unknown[]) => unknown
      return [method, (...args: unknown[]) => this[method].run(() => act.apply(inner, args), args[0], args[1])]
    })
    return Object.fromEntries(wrapped)
  }

  /** Plugin options: the backend that `choice` names, by way of a registry in which it is called 'chaos'. */
  over (choice: BackendChoice = { backend: 'memory' }): { registry: Registry, backend: 'memory' } {
    const definition = defineBackend({ name: 'chaos', create: async (_options: object, context) => this.wrap(await context.open(choice)) })
    // The types know the names that packages add to them; this one stays out of what other tests compile.
    const name = 'chaos' as 'memory'
    return { registry: builtIns().add(name, () => definition), backend: name }
  }

  /** Every method that reads or changes. */
  get all (): readonly ChaosMethod[] {
    return [this.get, this.getMany, this.set, this.delete, this.clear]
  }

  /** The network is gone, or back: one command for all of them. */
  each (command: (method: ChaosMethod) => void): void {
    this.all.forEach(command)
  }
}

/** Keys of tags' stamps, in the namespace ''. */
export const isStamp = (key: string): boolean => key.startsWith('0:t ')
/** Keys of routes' answers, in the namespace ''. */
export const isAnswer = (key: string): boolean => key.startsWith('0:r ')

/** What a backend could answer a read with that is no entry of ours. `entry` is a good one, `other` one of another key. */
export function garbage (entry: StoredEntry, other: StoredEntry): ReadonlyArray<readonly [name: string, answer: unknown]> {
  const { value, expiresAt } = entry
  const flipped = Uint8Array.from(value)
  flipped[flipped.length - 1]! ^= 1
  const trap = { get value (): never { throw new ChaosError('a getter that throws') }, expiresAt }
  const thenable = { then (): never { throw new ChaosError('a then that throws') } }
  return [
    ['a number', 42], ['null', null], ['a string', 'garbage'], ['true', true], ['an empty object', {}], ['a list', [entry]],
    ['a symbol', Symbol('x')], ['a function', () => entry], ['an Error', new ChaosError('answered')],
    ['a value that is text', { value: 'text', expiresAt }], ['a value of null', { value: null, expiresAt }], ['no instant', { value }],
    ['an instant that is text', { value, expiresAt: String(expiresAt) }], ['NaN for an instant', { value, expiresAt: NaN }],
    ['no bytes', { value: new Uint8Array(0), expiresAt }], ['truncated bytes', { value: value.subarray(0, value.length - 1), expiresAt }],
    ['half of the bytes', { value: value.subarray(0, value.length >> 1), expiresAt }],
    ['one byte too many', { value: Buffer.concat([value, Buffer.from('x')]), expiresAt }], ['a flipped bit', { value: flipped, expiresAt }],
    ["another key's bytes", other], ['a getter that throws', trap], ['a then that throws', thenable],
    ['a promise of a number', Promise.resolve(42)], ['a promise of a getter that throws', Promise.resolve(trap)]
  ]
}
