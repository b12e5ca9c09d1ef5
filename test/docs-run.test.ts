// Every block of code and every command of the docs, run as pasted, with the packed package installed.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { LONG_PAGES, pages, runsAsPasted } from './support/pages.js'
import { wrongWith } from './support/page-rules.js'
import { reader } from './support/reader.js'
import { root, source } from './support/sources.js'

const user = reader(t)

for (const page of pages.filter(({ path }) => !LONG_PAGES.includes(path))) runsAsPasted(t, user, page)

t.test('docs: every command in the text exists', async (t) => {
  const inClone = { ...user.known, programs: readdirSync(join(root, 'node_modules', '.bin')) }
  for (const { path, text } of [...pages, source('CONTRIBUTING.md')]) {
    const known = path === 'CONTRIBUTING.md' ? inClone : user.known
    for (const [, command] of text.matchAll(/`((?:npm|npx) [^`\n]+)`/g)) t.same(wrongWith(command!, known), [], `${path}: ${command}`)
  }
})
