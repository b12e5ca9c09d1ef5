// The tutorial, run as pasted: a backend is written, tested, fixed, registered and measured.
import t from 'tap'
import { runsAsPasted } from './support/pages.js'
import { reader } from './support/reader.js'
import { source } from './support/sources.js'

runsAsPasted(t, reader(t), source('docs/tutorial.md'))
