// The pages for authors of backends, run as they are pasted: their programs run the whole test kit.
import t from 'tap'
import { FOR_AUTHORS, pages, runsAsPasted } from './support/pages.js'
import { reader } from './support/reader.js'

const user = reader(t)

for (const page of pages.filter(({ path }) => FOR_AUTHORS.includes(path))) runsAsPasted(t, user, page)
