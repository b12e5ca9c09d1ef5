// Reads the command line: its options and their defaults. Refuses wrong options.
import { parseArgs } from 'node:util'
import { Refusal } from './refusal.js'

/** A backend as it is given on the command line. */
export interface Asked {
  /** The value of `--backend`: the name of a built-in backend. */
  readonly backend?: string
  /** The value of `--module`: the path of a module. */
  readonly module?: string
  readonly options: object
  /** The value of `--name`: the backend's name in the report. */
  readonly name?: string
}

export interface Settings {
  readonly backends: readonly Asked[]
  readonly seconds: number
  readonly entries: number
  readonly valueBytes: number
  readonly sizes: readonly number[]
  readonly inFlight: number
  readonly hitRatio: number
  /** The file to which the report is written, or '' for the standard output. */
  readonly json?: string
  readonly against?: string
  readonly chart?: string
}

/** The default of the option `--seconds`. */
export const SECONDS = 20
/** The number of seconds for which `--quick` stands. */
export const QUICK_SECONDS = 4
/** The default of the option `--entries`. */
export const ENTRIES = 20_000
/** The default of the option `--value-bytes`. */
export const VALUE_BYTES = 1_200
/** The default of the option `--sizes`. */
export const SIZES: readonly number[] = [100, 1_000, 10_000, 100_000, 1_000_000]
/** The default of the option `--in-flight`. */
export const IN_FLIGHT = 64
/** The default of the option `--hit-ratio`. */
export const HIT_RATIO = 0.9

const text = { type: 'string' } as const
const OPTIONS = {
  backend: text,
  module: text,
  options: text,
  name: text,
  seconds: text,
  quick: { type: 'boolean' },
  entries: text,
  'value-bytes': text,
  sizes: text,
  'in-flight': text,
  'hit-ratio': text,
  json: text,
  against: text,
  chart: text,
  help: { type: 'boolean', short: 'h' }
} as const

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Returns the settings, or undefined if help was requested. Throws Refusal if the command line is wrong. */
export function readArguments (args: readonly string[]): Settings | undefined {
  const { values, tokens } = parse(args)
  if (values.help === true) return undefined
  const number = (name: keyof typeof values, byDefault: number, least: number, most: number): number =>
    values[name] === undefined ? byDefault : readNumber(`--${name}`, values[name] as string, least, most)
  const seconds = number('seconds', values.quick === true ? QUICK_SECONDS : SECONDS, 0.5, 3_600)
  return {
    backends: readBackends(tokens),
    seconds,
    entries: Math.floor(number('entries', ENTRIES, 16, 10_000_000)),
    valueBytes: Math.floor(number('value-bytes', VALUE_BYTES, 1, 16_000_000)),
    sizes: values.sizes === undefined
      ? SIZES
      : values.sizes.split(',').map((size) => Math.floor(readNumber('--sizes', size, 1, 16_000_000))),
    inFlight: Math.floor(number('in-flight', IN_FLIGHT, 1, 10_000)),
    hitRatio: number('hit-ratio', HIT_RATIO, 0.01, 1),
    ...(values.json !== undefined && { json: values.json }),
    ...(values.against !== undefined && { against: values.against }),
    ...(values.chart !== undefined && { chart: values.chart })
  }
}

type Token = { readonly kind: string, readonly name?: string, readonly value?: string | undefined }

function parse (args: readonly string[]): {
  values: { [K in keyof typeof OPTIONS]?: typeof OPTIONS[K]['type'] extends 'boolean' ? boolean : string }, tokens: readonly Token[]
} {
  // If --json has no value, it means the standard output.
  const whole = args.map((arg, at) => arg === '--json' && (args[at + 1] === undefined || args[at + 1]!.startsWith('-')) ? '--json=' : arg)
  try {
    return parseArgs({ args: whole, options: OPTIONS, strict: true, allowPositionals: false, tokens: true })
  } catch (error) {
    throw new Refusal(`${(error as Error).message.split('. ')[0]!.replace(/\.$/, '')}; --help lists the options`)
  }
}

/** Reads the backends. `--options` and `--name` belong to the backend that precedes them. */
function readBackends (tokens: readonly Token[]): readonly Asked[] {
  const backends: Array<Mutable<Asked>> = []
  for (const { kind, name, value } of tokens) {
    if (kind !== 'option') continue
    if (name === 'backend' || name === 'module') backends.push({ [name]: value!, options: {} })
    const last = backends.at(-1)
    if (name !== 'options' && name !== 'name') continue
    if (last === undefined) throw new Refusal(`--${name} belongs to the --backend or --module before it, and there is none`)
    if (name === 'name') last.name = value!
    else last.options = readOptions(value!)
  }
  if (backends.length === 0) {
    throw new Refusal('no backend is given. Add --backend sqlite, or --module ./my-backend.js; --help shows more')
  }
  return backends
}

function readOptions (json: string): object {
  let options: unknown
  try {
    options = JSON.parse(json)
  } catch (error) {
    // Node counts positions from 0. Some of its messages have no position and show the text instead.
    const what = (error as Error).message.replace(/ in JSON at position (\d+).*/, (_, position) => ` at character ${Number(position) + 1}`)
    throw new Refusal(`--options is not JSON: ${what}, got ${shortened(json)}`)
  }
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new Refusal(`--options must be a JSON object such as '{"path":":memory:"}', got ${shortened(json)}`)
  }
  return options
}

function shortened (given: string): string {
  return given.length > 60 ? `'${given.slice(0, 60)}...'` : `'${given}'`
}

function readNumber (option: string, given: string, least: number, most: number): number {
  const value = given.trim() === '' ? NaN : Number(given.replaceAll('_', ''))
  if (!(value >= least && value <= most)) throw new Refusal(`${option} must be a number from ${least} to ${most}, got '${given}'`)
  return value
}
