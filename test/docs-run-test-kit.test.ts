// The page of the test kit, run as pasted: its three lists, with their levers.
import t from 'tap'
import { runsAsPasted } from './support/pages.js'
import { reader } from './support/reader.js'
import { source } from './support/sources.js'

runsAsPasted(t, reader(t), source('docs/test-kit.md'))
