// A simulation: requests and changes arrive at random processes, and once the store is away for a time. The same settings give the same
// result.
import { Agenda } from './agenda.js'
import { NearTiers } from './near-tiers.js'
import { Process } from './process.js'
import { Random, Zipf } from './random.js'
import type { Traffic, Way } from './settings.js'
import { Store } from './store.js'
import { Tally } from './tally.js'
import { Truth, type World } from './world.js'

/** Simulates some processes. Returns what was counted. `makeStore` lets tests break the rules of the store. */
export function simulate (
  traffic: Traffic, way: Way, processes: number, makeStore = (agenda: Agenda, tally: Tally): Store => new Store(agenda, tally)
): Tally {
  const agenda = new Agenda()
  const tally = new Tally(traffic.secondsBefore + traffic.secondsAfter, () => agenda.now)
  const random = new Random(traffic.seed)
  const near = new NearTiers({ agenda, tally, random, traffic, way, processes })
  const world = { agenda, tally, store: makeStore(agenda, tally), near, random, truth: new Truth(tally, traffic), traffic, way }
  fillStore(world)
  tally.clear()
  failOver(world)
  if (way.hears) loseConnections(world, processes)
  drive(world, Array.from({ length: processes }, (_, id) => new Process(id, world)))
  return tally
}

/** Stores an entry of each key, which is as old as it would be after a long time. */
function fillStore ({ store, random, traffic: { keys, tags, ttlMs } }: World): void {
  const stamps = Array.from({ length: tags }, (_, tag) => store.renewStamp(tag, 0))
  for (let key = 0; key < keys; key++) {
    store.set(key, { readAt: -Infinity, stamp: stamps[key % tags]!.id, expiresAt: ttlMs * random.next() })
  }
}

/** Lets the store be away for a time, and lose what was last written. */
function failOver ({ agenda, store, near, traffic: { secondsBefore, awayMs, lostMs } }: World): void {
  const failsAt = secondsBefore * 1_000
  let kept: ReturnType<Store['copy']> = { records: new Map(), stamps: new Map() }
  if (lostMs < Infinity) agenda.after(failsAt - lostMs, () => { kept = store.copy() })
  agenda.after(failsAt, () => {
    store.isAway = true
    near.loseAll()
  })
  agenda.after(failsAt + awayMs, () => {
    store.replaceBy(kept)
    store.isAway = false
    near.regainAll()
  })
}

/** Now and then, a process does not hear of changes any more, and does not know it. */
function loseConnections ({ agenda, near, random, traffic: { silentLossMs } }: World, processes: number): void {
  const lose = (): void => {
    near.deafen(random.below(processes))
    next()
  }
  const next = (): void => agenda.after(random.pauseMs(processes * 1_000 / silentLossMs), lose)
  next()
}

/** How long it takes at most until the last request has its response. */
const REST_MS = 30_000

/** What happens from outside: its time, and the process to which it happens. The numbers drawn don't depend on what processes do. */
function drive ({ agenda, truth, traffic }: World, processes: readonly Process[]): void {
  const { seed, keys, tags, requestsPerSecond, keyChangesPerSecond, tagChangesPerSecond, secondsBefore, secondsAfter } = traffic
  const zipf = new Zipf(keys)
  const [when, what, who] = [new Random(seed + 1), new Random(seed + 2), new Random(seed + 3)]
  const all = requestsPerSecond + keyChangesPerSecond + tagChangesPerSecond
  const endsAt = (secondsBefore + secondsAfter) * 1_000
  for (let at = when.pauseMs(all); at < endsAt; at += when.pauseMs(all)) {
    agenda.until(at)
    const process = processes[who.below(processes.length)]!
    const kind = what.next() * all
    if (kind < requestsPerSecond) process.handle(truth.request(zipf.draw(what)))
    else if (kind < requestsPerSecond + keyChangesPerSecond) process.invalidateKey(zipf.draw(what))
    else process.invalidateTag(what.below(tags))
  }
  agenda.until(endsAt + REST_MS)
}
