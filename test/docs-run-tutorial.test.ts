// The tutorial, followed to the letter: a backend is written, tested, mended, registered and measured.
import t from 'tap'
import { runsAsPasted } from './support/pages.js'
import { reader } from './support/reader.js'
import { source } from './support/sources.js'

runsAsPasted(t, reader(t), source('docs/tutorial.md'))
