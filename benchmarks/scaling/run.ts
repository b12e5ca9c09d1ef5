// `npm run simulate`: simulates many processes on one Redis, prints the table, and writes it and the picture into the docs.
import { readFileSync, writeFileSync } from 'node:fs'
import { bytesOf, PAGE, PICTURE, SIMULATED, simulatedPart, withSimulated, MEASURED, type Measured } from './page.js'
import { picture } from './picture.js'
import { summaries } from './summary.js'

const measured = JSON.parse(readFileSync(MEASURED, 'utf8')) as Measured
const rows = summaries(bytesOf(measured), ({ way, processes }) => { console.error(`${way}, ${processes} processes`) })
console.log(simulatedPart(rows))
writeFileSync(SIMULATED, `${JSON.stringify(rows, undefined, 2)}\n`)
writeFileSync(PAGE, withSimulated(readFileSync(PAGE, 'utf8'), rows))
writeFileSync(PICTURE, picture(rows))
