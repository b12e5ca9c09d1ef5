// What cache-bench makes of its figures: the break-even, the comparison with an earlier run, the picture; and its plan.
import t from 'tap'
import { readArguments } from '../../benchmarks/cache-bench/arguments.js'
import { breakEvenSentence, breakEvenUs, micros } from '../../benchmarks/cache-bench/break-even.js'
import { chart } from '../../benchmarks/cache-bench/chart.js'
import { compare, comparisonTable } from '../../benchmarks/cache-bench/compare.js'
import { planOf } from '../../benchmarks/cache-bench/plan.js'
import { Progress } from '../../benchmarks/cache-bench/progress.js'
import type { BackendReport, OperationReport, Report } from '../../benchmarks/cache-bench/report.js'
import { escaped, LogScale } from '../../benchmarks/cache-bench/svg.js'
import { bytes, figure } from '../../benchmarks/cache-bench/table.js'
import { wrongXml } from '../support/xml.js'

t.test('break-even: a request to a handler at the break-even costs the same with and without the cache', async (t) => {
  const [floorUs, hitUs, missUs] = [20, 26, 60]
  for (const hitRatio of [0.1, 0.5, 0.9, 1]) {
    const handlerUs = breakEvenUs({ floorUs, hitUs, missUs }, hitRatio)
    const cached = hitRatio * hitUs + (1 - hitRatio) * (missUs + handlerUs)
    t.ok(Math.abs(cached - (floorUs + handlerUs)) < 1e-9, String(hitRatio))
  }
})

t.test('break-even: caching always pays if a hit costs less than no cache', async (t) => {
  t.equal(breakEvenUs({ floorUs: 20, hitUs: 15, missUs: 21 }, 0.9), 0)
  t.equal(breakEvenSentence('a', { cpuUs: 0, latencyUs: 0 }, 0.9),
    'a: with 90 % hits, caching always saves CPU time, and always responds sooner.')
  t.equal(breakEvenSentence('a', { cpuUs: 12.34, latencyUs: 2_345 }, 0.5),
    'a: with 50 % hits, caching saves CPU time if the handler uses more than 12.3 us of it, and responds sooner if the handler takes longer than 2.35 ms.')
})

t.test('figures: they are shown with three significant digits', async (t) => {
  t.same([figure(1_234_567), figure(1_234), figure(0.01234), bytes(1_200), bytes(100), bytes(1e6)], [
    '1 230 000', '1230', '0.0123', '1.2 KB', '100 B', '1 MB'
  ])
  t.same([micros(0.256), micros(31.24), micros(1_500), micros(2e6)], ['0.26 us', '31.2 us', '1.5 ms', '2 s'])
})

function operation (perSecondRounds: readonly number[]): OperationReport {
  return { perSecond: perSecondRounds[0]!, perSecondRounds, foundShare: 1, p50Us: 1, p90Us: 2, p99Us: 3, p999Us: 4 }
}

function backend (name: string, rounds: readonly number[], cpuUsRounds = [20, 21, 22]): BackendReport {
  const route = { cpuUs: 20, latencyUs: 90, cpuUsRounds }
  return {
    name,
    entries: 64,
    operations: {
      get: operation(rounds),
      set: operation([10, 10, 10]),
      replace: operation([10, 10, 10]),
      miss: operation([10, 10, 10]),
      delete: operation([10, 10, 10])
    },
    sizes: [
      { valueBytes: 100, entries: 64, getPerSecond: 1e6, setPerSecond: 1e5 },
      { valueBytes: 1e6, entries: 16, getPerSecond: 1e3, setPerSecond: 1e2 }
    ],
    delay: { p50Ms: 0, p99Ms: 1, p999Ms: 1.5, maxMs: 2, operationsPerSecond: 2_000 },
    writing: { p50Ms: 0, p99Ms: 3, p999Ms: 3.5, maxMs: 4, operationsPerSecond: 1_900 },
    memory: { heapBytes: 1_500, rssBytes: 2_000 },
    served: { floor: route, hit: route, miss: route, asMeant: 1 },
    breakEven: { cpuUs: 0, latencyUs: 12 }
  }
}

function report (backends: readonly BackendReport[], yardsticks = [100, 100, 100]): Report {
  return {
    format: 1,
    at: '2026-01-02T03:04:05.000Z',
    machine: { node: 'v1', cpu: 'a <fast> one', cores: 2, memoryBytes: 1, platform: 'any' },
    conditions: { entries: 64, valueBytes: 1_200, inFlight: 64, hitRatio: 0.9 },
    seconds: 1,
    pacePerSecond: 2_000,
    yardsticks,
    backends
  }
}

const verdictOf = (now: Report, then: Report, what = 'get/s') => compare(now, then).find((one) => one.what === what)!

t.test('compare: a change is reported if the rounds of both runs are apart, and is noise if they overlap', async (t) => {
  const then = report([backend('a', [100, 101, 102, 103])])
  t.match(verdictOf(report([backend('a', [150, 151, 152, 153])]), then), { verdict: 'better', ratio: 151.5 / 101.5 })
  t.match(verdictOf(report([backend('a', [50, 51, 52, 53])]), then), { verdict: 'worse' })
  t.match(verdictOf(report([backend('a', [50, 100, 150, 200])]), then), { verdict: 'noise' },
    'the middle halves of the rounds overlap')
  t.match(verdictOf(report([backend('a', [104, 104, 104, 104])]), then), { verdict: 'noise' }, 'a change below 5 %')
})

t.test('compare: a higher cost is worse', async (t) => {
  const then = report([backend('a', [1], [20, 21, 22])])
  t.match(verdictOf(report([backend('a', [1], [40, 41, 42])]), then, 'hit, CPU us'), { verdict: 'worse' })
  t.match(verdictOf(report([backend('a', [1], [10, 11, 12])]), then, 'hit, CPU us'), { verdict: 'better' })
})

t.test('compare: a slower machine is not a change of the backend', async (t) => {
  const then = report([backend('a', [100, 101, 102], [20, 21, 22])], [100, 100, 100])
  const now = report([backend('a', [50, 50.5, 51], [40, 42, 44])], [50, 50, 50])
  t.match(verdictOf(now, then), { ratio: 1, verdict: 'noise' })
  t.match(verdictOf(now, then, 'miss, CPU us'), { ratio: 1, verdict: 'noise' })
  t.match(comparisonTable(now, then), 'The machine is x0.50 as fast as then')
})

t.test('compare: a backend that is missing in the other run is named', async (t) => {
  const text = comparisonTable(report([backend('new', [1])]), report([backend('a', [1])]))
  t.match(text, 'Not in that run: new.')
  t.notMatch(text, 'get/s')
})

t.test('chart: the SVG is well-formed whatever the names are, and shows every backend', async (t) => {
  const names = ['memory', '<b> & "c"\u0000', "a name that is far too long for a chart's label", 'ünïcode', 'e', 'f', 'g', 'h']
  const picture = chart(report(names.map((name, at) => backend(name, [10 ** at]))))
  t.same(wrongXml(picture), [])
  t.match(picture, '&#60;b&#62; &#38; &#34;c&#34;')
  t.notMatch(picture, '\u0000')
  t.notMatch(picture, 'NaN')
  for (const label of ['memory get', 'ünïcode set', '>always<', '>12 us<']) t.match(picture, label)
})

t.test('chart: broken XML is found', async (t) => {
  t.same(wrongXml('<a><b/></a>'), [])
  for (const broken of ['<a><b></a>', '<a>', '<a x="1>"', '<a>&</a>', '</a>', '<a b=c></a>']) t.ok(wrongXml(broken).length > 0, broken)
})

t.test('chart: a scale has whole powers of ten around its values', async (t) => {
  const scale = new LogScale([20, 3_000], 0, 300)
  t.same(scale.ticks(), [10, 100, 1_000, 10_000])
  t.same([10, 100, 10_000, 1].map((value) => Math.round(scale.at(value))), [0, 100, 300, 0])
  t.same(new LogScale([], 0, 1).ticks().every(Number.isFinite), true)
  t.equal(escaped("<'&\u0007>"), '&#60;&#39;&#38; &#62;')
})

t.test('plan: the measurements take about the requested seconds', async (t) => {
  for (const seconds of [0.5, 4, 20, 60]) {
    const plan = planOf(readArguments(['--backend', 'memory', '--seconds', String(seconds)])!)
    const ms = plan.fillMs + (plan.rounds + 1) * 5 * plan.sliceMs + plan.delayMs + plan.writingMs +
      (plan.workloads.length - 1) * plan.sizeRounds * 3 * plan.sizeMs + (plan.servedRounds + 1) * 6 * plan.servedMs
    t.ok(Math.abs(ms / 1_000 / seconds - 1) < 0.01, `${ms} ms`)
  }
})

t.test('arguments: options and names belong to the backend before them', async (t) => {
  const { backends } = readArguments([
    '--backend', 'memory', '--backend', 'sqlite', '--options', '{"path":"a"}', '--name', 'one', '--module', './x.js', '--name', 'two',
    '--json'
  ])!
  t.same(backends, [
    { backend: 'memory', options: {} },
    { backend: 'sqlite', options: { path: 'a' }, name: 'one' },
    { module: './x.js', options: {}, name: 'two' }
  ])
  t.equal(readArguments(['--backend', 'memory', '--json', '--quick'])!.json, '')
  t.equal(readArguments(['--backend', 'memory', '--json', 'a.json'])!.json, 'a.json')
  t.equal(readArguments(['--help']), undefined)
})

t.test('progress: a terminal gets one line that is overwritten, anything else a line for each step', async (t) => {
  const written = (isTTY: boolean): string => {
    let text = ''
    const progress = new Progress({
      isTTY, columns: 8, write: (more: string | Uint8Array) => { text += String(more); return true }
    } as ConstructorParameters<typeof Progress>[0])
    for (const step of ['one', 'one', 'two and more']) progress.say(step)
    progress.clear()
    return text
  }
  t.equal(written(true), '\r\u001b[Kone\r\u001b[Ktwo and\r\u001b[K')
  t.equal(written(false), 'one\ntwo and more\n')
})
