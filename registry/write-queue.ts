// Changes of keys in the order of the calls: one at a time for each key, and of those that wait the last one stands for all.
import type { MaybePromise } from './backend.js'

/** A change of a key. */
export interface Change {
  readonly operation: 'set' | 'delete'
  /** Carries it out. Settles when it has come to pass or never will: until then nothing else is done with the key. */
  readonly act: () => MaybePromise<unknown>
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface Job {
  change: Change
  /** Those who asked for it, and those for whose changes it stands. */
  readonly waiters: Map<Change, Waiter>
}

/**
 * The changes of one key. A delete and, behind it, a set may wait: the set can't stand for the delete, since it may fail or be taken back.
 */
interface KeyWrites {
  underWay: Job
  delete: Job | undefined
  set: Job | undefined
}

/** Changes that are not over. */
export class WriteQueue {
  readonly #byKey = new Map<string, KeyWrites>()

  /** How many keys have such changes. */
  get size (): number {
    return this.#byKey.size
  }

  /** Whether this key has. */
  has (key: string): boolean {
    return this.#byKey.has(key)
  }

  /** The keys that have, as far as they begin with `prefix`. */
  keys (prefix: string): string[] {
    return [...this.#byKey.keys()].filter((key) => key.startsWith(prefix))
  }

  /**
   * Carries a change out when the one before it is over, at once where there is none. Settles as it does, or as a later one that stands for
   * it.
   */
  put (key: string, change: Change): Promise<void> {
    return new Promise((resolve, reject) => {
      const writes = this.#byKey.get(key)
      if (writes !== undefined) follow(writes, change, { resolve, reject })
      else this.#begin(key, { change, waiters: new Map([[change, { resolve, reject }]]) })
    })
  }

  /** Tells that nobody waits for `change` any more. A set that was not begun is dropped; a delete is carried out all the same. */
  giveUp (key: string, change: Change): void {
    const writes = this.#byKey.get(key)
    if (writes === undefined) return
    for (const job of [writes.underWay, writes.delete, writes.set]) job?.waiters.delete(change)
    if (writes.set?.change === change) writes.set = undefined
  }

  #begin (key: string, underWay: Job): void {
    const writes: KeyWrites = { underWay, delete: undefined, set: undefined }
    this.#byKey.set(key, writes)
    this.#run(key, writes)
  }

  /** Never rejects: a failure belongs to those who wait. */
  async #run (key: string, writes: KeyWrites): Promise<void> {
    for (;;) {
      const { change, waiters } = writes.underWay
      try {
        await change.act()
        for (const { resolve } of waiters.values()) resolve()
      } catch (error) {
        for (const { reject } of waiters.values()) reject(error)
      }
      const next = writes.delete ?? writes.set
      if (next === undefined) break
      writes[next === writes.delete ? 'delete' : 'set'] = undefined
      writes.underWay = next
    }
    this.#byKey.delete(key)
  }
}

/** Puts a change behind the one under way. A set that waits is over with it. */
function follow (writes: KeyWrites, change: Change, waiter: Waiter): void {
  const replaced = writes.set
  if (change.operation === 'set') {
    writes.set = { change, waiters: replaced?.waiters ?? new Map() }
    writes.set.waiters.set(change, waiter)
    return
  }
  writes.set = undefined
  writes.delete ??= { change, waiters: new Map() }
  for (const [other, itsWaiter] of replaced?.waiters ?? []) writes.delete.waiters.set(other, itsWaiter)
  writes.delete.waiters.set(change, waiter)
}
