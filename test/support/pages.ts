// The pages of the docs, and a test that a page runs as pasted.
import type { Test } from 'tap'
import { source, sourcesIn, type Source } from './sources.js'
import type { Reader } from './reader.js'

/** The pages that users see. */
export const pages: readonly Source[] = [source('README.md'), ...sourcesIn(['docs'], ['.md'])]

/** Pages whose programs run the whole test kit or measure. Each has its own test, `docs-run-<page>.test.ts`. */
export const LONG_PAGES: readonly string[] = ['docs/extending.md', 'docs/test-kit.md', 'docs/tutorial.md']

/** A test that every block of the page runs as pasted. Blocks that are not run are printed with the reasons. */
export function runsAsPasted (t: Test, user: Reader, page: Source): void {
  t.test(`docs: ${page.path}: every block runs as pasted, or says why not`, async (t) => {
    const { problems, notRun } = await user.follow(page)
    t.same(problems, [])
    for (const line of notRun) t.comment(`not run: ${line}`)
  })
}
