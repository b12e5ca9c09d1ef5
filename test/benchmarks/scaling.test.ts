// docs/scaling.md shows what was measured and simulated, and the simulation keeps the rules of the cache.
import t from 'tap'
import type { Agenda } from '../../benchmarks/scaling/agenda.js'
import {
  bytesOf, MEASURED, measuredParts, PAGE, PICTURE, SIMULATED, simulatedPart, withMeasured, withSimulated, type Measured
} from '../../benchmarks/scaling/page.js'
import { picture } from '../../benchmarks/scaling/picture.js'
import { simulate } from '../../benchmarks/scaling/simulation.js'
import * as settings from '../../benchmarks/scaling/settings.js'
import {
  NEAR, NEAR_THAT_HEARS, PROCESSES, TRAFFIC, WAYS, WITH_CLAIMS, WITHOUT_CLAIMS, type Traffic, type Way
} from '../../benchmarks/scaling/settings.js'
import { Store, type Claimed, type Entry, type Token } from '../../benchmarks/scaling/store.js'
import { summaries, type Row } from '../../benchmarks/scaling/summary.js'
import { OPERATIONS, type Tally } from '../../benchmarks/scaling/tally.js'
import { isFull } from '../support/size.js'
import { source } from '../support/sources.js'
import { wrongXml } from '../support/xml.js'

const page = source(PAGE).text
const measured = JSON.parse(source(MEASURED).text) as Measured
const rows = JSON.parse(source(SIMULATED).text) as Row[]

const SMALL: Traffic = {
  ...TRAFFIC, keys: 500, tags: 10, requestsPerSecond: 2_000, ttlMs: 10_000, oneSlowIn: 100, secondsBefore: 10, secondsAfter: 4
}
const BEFORE = [0, SMALL.secondsBefore] as const

/** What is wrong before the store is away: two runs of a key although one has the lease, or stale responses. */
function wrongs (tally: Tally): string[] {
  const atOnce = Math.max(...tally.leased.subarray(...BEFORE))
  const stale = tally.sum('stale', ...BEFORE)
  return [...(atOnce > 1 ? ['runs at once'] : []), ...(stale > 0 ? ['stale'] : [])]
}

/** Simulates with a store that breaks a rule. */
function broken (Broken: new (agenda: Agenda, tally: Tally) => Store): Tally {
  return simulate(SMALL, WITH_CLAIMS, 10, (agenda, tally) => new Broken(agenda, tally))
}

t.test('scaling: the tables are made from what was measured and simulated', async (t) => {
  for (const [begin, part] of measuredParts(measured)) t.ok(page.includes(`${begin}\n${part}\n`), `${begin} run npm run bench:scaling`)
  t.ok(page.includes(simulatedPart(rows)), 'run npm run simulate')
  t.equal(withSimulated(withMeasured(page, measured), rows), page)
})

t.test('scaling: a new simulation replaces the table of the earlier one, and the rest of the page stays', async (t) => {
  const others = rows.map((row) => ({ ...row, runsPerSecond: 12_345 }))
  const changed = withSimulated(page, others)
  t.ok(changed.includes('12 300'))
  t.notOk(changed.includes(simulatedPart(rows)), 'the earlier table is gone')
  t.equal(withSimulated(changed, rows), page)
  t.throws(() => withSimulated('without marks', rows), /lacks/)
})

t.test('scaling: the picture is made from the simulation', async (t) => {
  const drawn = source(PICTURE).text
  t.equal(drawn, picture(rows), 'run npm run simulate')
  t.same(wrongXml(drawn), [])
})

t.test('scaling: the simulation gives the rows that are in the docs', async (t) => {
  const processes = isFull ? [1, 10, 100] : [1, 10]
  t.same(rows.map(({ way, processes }) => `${way} ${processes}`), WAYS.flatMap(({ name }) => PROCESSES.map((count) => `${name} ${count}`)))
  t.same(summaries(bytesOf(measured), () => {}, processes), rows.filter((row) => processes.includes(row.processes)), 'run npm run simulate')
})

t.test('scaling: the numbers in the rules of the simulation are those of the code', async (t) => {
  const {
    BREAKER_JITTER, FAILURES_TO_PAUSE, FIRST_PAUSE_MS, LEASE_MS, LOCK_TIMEOUT_MS, LONGEST_PAUSE_MS, PAUSE_JITTER, PAUSES_MS,
    RETRIES, RETRY_MS
  } = settings
  const inCode: ReadonlyArray<readonly [path: string, name: string, value: unknown]> = [
    ['response/store/claims.ts', 'PAUSES_AWAY_MS', PAUSES_MS],
    ['response/store/claims.ts', 'JITTER', PAUSE_JITTER],
    ['response/store/circuit-breaker.ts', 'FAILURES_TO_OPEN', FAILURES_TO_PAUSE],
    ['response/store/circuit-breaker.ts', 'FIRST_PAUSE_MS', FIRST_PAUSE_MS],
    ['response/store/circuit-breaker.ts', 'LONGEST_PAUSE_MS', LONGEST_PAUSE_MS],
    ['response/store/circuit-breaker.ts', 'JITTER', BREAKER_JITTER],
    ['backends/tiered/tier-pause.ts', 'FAILURES_TO_PAUSE', FAILURES_TO_PAUSE],
    ['backends/tiered/tier-pause.ts', 'PAUSE_MS', FIRST_PAUSE_MS],
    ['backends/tiered/backend.ts', 'RETRY_INTERVAL_MS', RETRY_MS],
    ['backends/tiered/write-queue.ts', 'RETRIES', RETRIES],
    ['backends/tiered/options.ts', 'TIERED_NEAR_TTL_MS', NEAR.nearTtlMs]
  ]
  for (const [path, name, value] of inCode) {
    const text = new RegExp(`const ${name} = (.+)$`, 'm').exec(source(path).text)?.[1]
    t.same(JSON.parse((text ?? 'null').replaceAll('_', '')), value, `${path}: ${name}`)
  }
  const readme = source('README.md').text
  t.match(readme, `lease: '${LEASE_MS / 1_000}s'`)
  t.match(readme, `lockTimeout: '${LOCK_TIMEOUT_MS / 1_000}s'`)
})

t.test('scaling: the same seed gives the same numbers, and another seed gives others', async (t) => {
  const numbers = (traffic: Traffic, way: Way): number[] => {
    const tally = simulate(traffic, way, 10)
    return [...OPERATIONS, 'runs', 'stale', 'served'].map((name) => tally.sum(name as 'runs', 0, 14))
  }
  for (const way of WAYS) {
    t.same(numbers(SMALL, way), numbers(SMALL, way), way.name)
    t.notSame(numbers(SMALL, way), numbers({ ...SMALL, seed: 2 }, way), way.name)
  }
})

t.test('scaling: every request receives a response', async (t) => {
  for (const way of WAYS) {
    const tally = simulate(SMALL, way, 10)
    t.ok(tally.sum('requests', 0, 15) > 10_000)
    t.equal(tally.sum('served', 0, 15), tally.sum('requests', 0, 15), way.name)
  }
})

t.test('scaling: with claims, a key has one run at a time while its lease is kept, and no response is stale', async (t) => {
  for (const processes of [1, 3, 10, 100]) t.same(wrongs(simulate(SMALL, WITH_CLAIMS, processes)), [], `${processes} processes`)
})

t.test('scaling: one process alone notices its own invalidations without claims', async (t) => {
  for (const way of [WITHOUT_CLAIMS, NEAR]) t.same(wrongs(simulate(SMALL, way, 1)), [], way.name)
})

t.test('scaling: a store that breaks a rule of claims is noticed', async (t) => {
  class WithoutLeases extends Store {
    override claim (key: number, { seen }: { leaseMs: number, seen: number | undefined }): Claimed {
      return super.claim(key, { leaseMs: 0, seen })
    }
  }
  class WithoutRenewals extends Store {
    override renew (): boolean { return true }
  }
  class WithoutTokens extends Store {
    override settle (key: number, _token: Token, entry: Entry): boolean {
      this.set(key, entry)
      return true
    }
  }
  class WithoutVersions extends Store {
    override version (isRaised: boolean): number { return isRaised ? super.version(true) : Infinity }
  }
  class KeepsEntries extends Store {
    override remove (): void {}
  }
  t.same(wrongs(broken(Store)), [])
  t.same(wrongs(broken(WithoutLeases)), ['runs at once'])
  t.same(wrongs(broken(WithoutRenewals)), ['runs at once'])
  t.ok(wrongs(broken(WithoutTokens)).includes('stale'))
  t.same(wrongs(broken(WithoutVersions)), ['stale'])
  t.same(wrongs(broken(KeepsEntries)), ['stale'])
})

t.test('scaling: more processes mean more runs and stale responses without claims, and no more runs with claims', async (t) => {
  const runs = (way: Way): number[] => [1, 10, 100].map((processes) => simulate(SMALL, way, processes).sum('runs', ...BEFORE))
  const [one, ten, hundred] = runs(WITHOUT_CLAIMS)
  t.ok(one! * 1.1 < ten! && ten! * 1.02 < hundred!, `${one} < ${ten} < ${hundred}`)
  const claimed = runs(WITH_CLAIMS)
  t.ok(Math.max(...claimed) < Math.min(...claimed) * 1.02, claimed.join())
  t.ok(wrongs(simulate(SMALL, WITHOUT_CLAIMS, 10)).includes('stale'))
})

t.test('scaling: a near tier saves reads of the store; one that hears is stale only for a moment', async (t) => {
  const commands = (tally: Tally): number => tally.sum('hit', ...BEFORE) + tally.sum('stamp', ...BEFORE)
  const [far, near, hearing] = [WITH_CLAIMS, NEAR, NEAR_THAT_HEARS].map((way) => simulate(SMALL, way, 10)) as [Tally, Tally, Tally]
  t.ok(commands(near) * 2 < commands(far))
  t.ok(commands(hearing) * 2 < commands(far))
  t.equal(far.sum('message', ...BEFORE), 0)
  t.equal(hearing.sum('message', ...BEFORE) % 10, 0, 'each change is a message to each process')
  const deaf = simulate(SMALL, { ...NEAR_THAT_HEARS, hears: false }, 10)
  t.ok(hearing.sum('stale', ...BEFORE) * 20 < deaf.sum('stale', ...BEFORE))
})

t.test('scaling: while the store is away, each process runs a handler once at a time for a key, and nothing is stored', async (t) => {
  const from = SMALL.secondsBefore
  const unchanged = { ...SMALL, keyChangesPerSecond: 0, tagChangesPerSecond: 0 }
  for (const processes of [1, 10]) {
    const tally = simulate(unchanged, WITH_CLAIMS, processes)
    const sums = OPERATIONS.map((operation) => tally.sum(operation, from, from + 2))
    t.same(sums.filter((sum) => sum > 0), [], 'no command is carried out')
    t.equal(Math.max(...tally.atOnce.subarray(from, from + 2)), processes)
  }
})
