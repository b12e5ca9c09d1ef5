// The guide for authors of backends, run as pasted: its five backends pass the whole test kit.
import t from 'tap'
import { runsAsPasted } from './support/pages.js'
import { reader } from './support/reader.js'
import { source } from './support/sources.js'

runsAsPasted(t, reader(t), source('docs/extending.md'))
