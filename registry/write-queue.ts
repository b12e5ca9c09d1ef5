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
interface Lane {
  underWay: Job
  delete: Job | undefined
  set: Job | undefined
}

/** Changes that are not over. */
export class WriteQueue {
  readonly #lanes = new Map<string, Lane>()

  /** How many keys have such changes. */
  get size (): number {
    return this.#lanes.size
  }

  /** Whether this key has. */
  has (key: string): boolean {
    return this.#lanes.has(key)
  }

  /** The keys that have, as far as they begin with `prefix`. */
  keys (prefix: string): string[] {
    return [...this.#lanes.keys()].filter((key) => key.startsWith(prefix))
  }

  /**
   * Carries a change out when the one before it is over, at once where there is none. Settles as it does, or as a later one that stands for
   * it.
   */
  put (key: string, change: Change): Promise<void> {
    return new Promise((resolve, reject) => {
      const lane = this.#lanes.get(key)
      if (lane !== undefined) follow(lane, change, { resolve, reject })
      else this.#begin(key, { change, waiters: new Map([[change, { resolve, reject }]]) })
    })
  }

  /** Tells that nobody waits for `change` any more. A set that was not begun is dropped; a delete is carried out all the same. */
  giveUp (key: string, change: Change): void {
    const lane = this.#lanes.get(key)
    if (lane === undefined) return
    for (const job of [lane.underWay, lane.delete, lane.set]) job?.waiters.delete(change)
    if (lane.set?.change === change) lane.set = undefined
  }

  #begin (key: string, underWay: Job): void {
    const lane: Lane = { underWay, delete: undefined, set: undefined }
    this.#lanes.set(key, lane)
    this.#run(key, lane)
  }

  /** Never rejects: a failure belongs to those who wait. */
  async #run (key: string, lane: Lane): Promise<void> {
    for (;;) {
      const { change, waiters } = lane.underWay
      try {
        await change.act()
        for (const { resolve } of waiters.values()) resolve()
      } catch (error) {
        for (const { reject } of waiters.values()) reject(error)
      }
      const next = lane.delete ?? lane.set
      if (next === undefined) break
      lane[next === lane.delete ? 'delete' : 'set'] = undefined
      lane.underWay = next
    }
    this.#lanes.delete(key)
  }
}

/** Puts a change behind the one under way. A set that waits is over with it. */
function follow (lane: Lane, change: Change, waiter: Waiter): void {
  const replaced = lane.set
  if (change.operation === 'set') {
    lane.set = { change, waiters: replaced?.waiters ?? new Map() }
    lane.set.waiters.set(change, waiter)
    return
  }
  lane.set = undefined
  lane.delete ??= { change, waiters: new Map() }
  for (const [other, itsWaiter] of replaced?.waiters ?? []) lane.delete.waiters.set(other, itsWaiter)
  lane.delete.waiters.set(change, waiter)
}
