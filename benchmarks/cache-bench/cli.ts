#!/usr/bin/env node
// The program cache-bench. It measures backends, which are given by name or by module.
import { accessSync, constants, writeFileSync } from 'node:fs'
import { constants as system } from 'node:os'
import { dirname, resolve } from 'node:path'
import { readArguments, type Settings } from './arguments.js'
import { chart } from './chart.js'
import { comparisonTable } from './compare.js'
import { HELP } from './help.js'
import { Progress } from './progress.js'
import { lineOf, Refusal } from './refusal.js'
import { readReport, reportOf, type Report } from './report.js'
import { run } from './run.js'
import { sourcesOf } from './sources.js'
import { table } from './table.js'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

async function main (args: readonly string[], signal: AbortSignal): Promise<void> {
  const settings = readArguments(args)
  if (settings === undefined) return console.log(HELP)
  // The whole command line is checked before anything is measured.
  const sources = sourcesOf(settings.backends)
  const before = settings.against === undefined ? undefined : readReport(settings.against, settings)
  for (const file of [settings.json, settings.chart]) if (file !== undefined && file !== '') checkPlace(file)
  const report = reportOf(await run(sources, settings, { signal, progress: new Progress(process.stderr) }), settings)
  print(report, before, settings)
}

function print (report: Report, before: Report | undefined, { json, chart: picture }: Settings): void {
  if (json === '') console.log(JSON.stringify(report, null, 2))
  else console.log(table(report))
  if (before !== undefined) (json === '' ? console.error : console.log)(`\n${comparisonTable(report, before)}`)
  if (json !== undefined && json !== '') writeFileSync(json, JSON.stringify(report, null, 2) + '\n')
  if (picture !== undefined) writeFileSync(picture, chart(report))
}

function checkPlace (file: string): void {
  try {
    accessSync(dirname(resolve(file)), constants.W_OK)
  } catch {
    throw new Refusal(`${file} can't be written: ${dirname(resolve(file))} is not a writable folder`)
  }
}

const stop = new AbortController()
// Each signal is handled once, so that a second Ctrl-C ends the program without waiting.
for (const name of SIGNALS) process.once(name, () => stop.abort(name))

try {
  await main(process.argv.slice(2), stop.signal)
} catch (error) {
  if (stop.signal.aborted) {
    console.error(`cache-bench: stopped by ${stop.signal.reason}, nothing was left behind`)
    process.exitCode = 128 + system.signals[stop.signal.reason as NodeJS.Signals]
  } else {
    console.error(`cache-bench: ${lineOf(error)}`)
    process.exitCode = error instanceof Refusal ? 2 : 1
  }
}
