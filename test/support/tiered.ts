// A tiered backend over tiers that fail on command, on a clock that stands still, with retries on command.
import type { Test } from 'tap'
import { builtIns } from '../../backends/index.js'
import type { TieredOptions } from '../../backends/tiered.js'
import type { CacheBackend, StoredEntry } from '../../registry/backend.js'
import type { BackendChoice } from '../../registry/names.js'
import { defineBackend } from '../../registry/registry.js'
import { turns } from './barrier.js'
import { Chaos } from './chaos.js'
import { testClock } from './clock.js'
import { mapBackend, type MapBackend } from './map-backend.js'

export interface TieredSetUp extends Omit<TieredOptions, 'tiers'> {
  /** The tiers, near to far. */
  tiers?: readonly Chaos[]
  /** Whether a key is that of a tag's stamp. */
  isStamp?: (key: string) => boolean
}

/** Two tiers by default. */
export async function tieredSetUp (t: Test, { tiers = [new Chaos(), new Chaos()], isStamp = () => false, ...options }: TieredSetUp = {}) {
  const clock = testClock()
  const warnings: Array<Record<string, any>> = []
  const runs: Array<() => unknown> = []
  const held: MapBackend[] = []
  const registry = builtIns()
  const choices = tiers.map((chaos, index): BackendChoice => {
    // Packages add names to the types. These are left out, because they would appear in what other tests compile.
    const name = `tier${index}` as 'memory'
    const inner = mapBackend(clock.now)
    held.push(inner)
    registry.add(name, () => defineBackend({ name, create: () => chaos.wrap(inner) }))
    return { backend: name }
  })
  const log = { debug () {}, info () {}, error () {}, warn: (details: object) => { warnings.push(details as Record<string, any>) } }
  const background = { every: (_name: string, _ms: number, run: () => unknown) => { runs.push(run); return { cancel: async () => {} } } }
  const backend = await registry.open({ backend: 'tiered', options: { tiers: choices, ...options } }, {
    now: clock.now, log, background, isStamp
  })
  t.teardown(async () => await end(backend, tiers))
  const entry = (text: string, lifeMs = 60_000): StoredEntry => ({ value: Buffer.from(text), expiresAt: clock.now() + lifeMs })
  return {
    backend,
    clock,
    warnings,
    entry,
    chaos: tiers as [Chaos, Chaos, ...Chaos[]],
    /** The tiers' entries, without the chaos. */
    held: held as [MapBackend, MapBackend, ...MapBackend[]],
    text: async (key = 'a') => textOf(await backend.get(key)),
    /** Retries unconfirmed changes, and waits for the outcome. */
    async retry () {
      for (const run of runs) run()
      await turns()
    }
  }
}

async function end (backend: CacheBackend, tiers: readonly Chaos[]): Promise<void> {
  for (const chaos of tiers) {
    chaos.close.heal()
    for (const method of [...chaos.all, chaos.close]) method.release()
  }
  // The tests about close check whether it rejects.
  await Promise.resolve(backend.close()).catch(() => {})
}

export const textOf = (entry: StoredEntry | undefined): string | undefined =>
  entry === undefined ? undefined : Buffer.from(entry.value).toString()

/** The text of the entry under `key` in a tier. */
export const heldIn = (backend: CacheBackend, key = 'a'): string | undefined => textOf(backend.get(key) as StoredEntry | undefined)
