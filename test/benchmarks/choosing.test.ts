// docs/choosing.md shows what was measured: its table and its picture are made from the saved report.
import t from 'tap'
import { chart } from '../../benchmarks/cache-bench/chart.js'
import type { Report } from '../../benchmarks/cache-bench/report.js'
import { measuredPart, withMeasured } from '../../benchmarks/choosing/page.js'
import { source } from '../support/sources.js'
import { wrongXml } from '../support/xml.js'

const report = JSON.parse(source('benchmarks/choosing/latest.json').text) as Report
const page = source('docs/choosing.md').text

t.test('choosing: the table is made from the report', async (t) => {
  t.ok(page.includes(measuredPart(report)), 'run npm run bench:choosing')
  t.equal(withMeasured(page, report), page)
})

t.test('choosing: a new report replaces the table of the earlier one, and the rest of the page stays', async (t) => {
  const other = { ...report, seconds: 12_345 }
  const changed = withMeasured(page, other)
  t.match(changed, 'about 12345 seconds')
  t.notOk(changed.includes(measuredPart(report)), 'the earlier table is gone')
  t.equal(withMeasured(changed, report), page)
  t.throws(() => withMeasured('without marks', report), /lacks/)
})

t.test('choosing: the picture is made from the report', async (t) => {
  const picture = source('docs/choosing.svg').text
  t.equal(picture, chart(report), 'run npm run bench:choosing')
  t.same(wrongXml(picture), [])
})
