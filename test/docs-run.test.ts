// Every block of code and every command of the docs, run as it is pasted, with the packed package installed.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { wrongWith } from './support/page-rules.js'
import { reader } from './support/reader.js'
import { root, source, sourcesIn } from './support/sources.js'

if (!existsSync(join(root, 'dist', 'plugin.d.ts'))) t.bailout('there is no dist: run npm run build first')

const user = reader()
t.teardown(() => user.remove())

const pages = [source('README.md'), ...sourcesIn(['docs'], ['.md'])]

for (const page of pages) {
  t.test(`docs: ${page.path}: every block runs as pasted, or says why not`, async (t) => {
    const { problems, notRun } = await user.follow(page)
    t.same(problems, [])
    for (const line of notRun) t.comment(`not run: ${line}`)
  })
}

t.test('docs: every command that stands in the text is there', async (t) => {
  const inClone = { ...user.known, programs: readdirSync(join(root, 'node_modules', '.bin')) }
  for (const { path, text } of [...pages, source('CONTRIBUTING.md')]) {
    const known = path === 'CONTRIBUTING.md' ? inClone : user.known
    for (const [, command] of text.matchAll(/`((?:npm|npx) [^`\n]+)`/g)) t.same(wrongWith(command!, known), [], `${path}: ${command}`)
  }
})
