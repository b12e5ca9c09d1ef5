// Converts the command line to backends that can be opened. Each backend gets its own place for its data if it needs one.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { builtIns } from 'fastify-response-cache'
import type { BackendSource } from '../core/opened.js'
import type { Asked } from './arguments.js'
import { Refusal } from './refusal.js'

/** A backend that is measured. */
export interface Source {
  /** The backend's name in the report. */
  readonly name: string
  /** Whether its data outlives the run, so that the entries must be deleted at the end. */
  readonly stays: boolean
  /** Returns how to open the backend with its data in `folder`, which only this backend uses. */
  at (folder: string): BackendSource
}

/** The option that says where a built-in backend keeps its data, and its value below a private folder. */
const PLACES: Readonly<Record<string, { readonly option: string, readonly path: string, readonly others: readonly string[] }>> = {
  file: { option: 'dir', path: 'entries', others: [] },
  sqlite: { option: 'path', path: 'cache.db', others: ['database'] }
}

interface Choice { readonly backend: string, readonly options?: Readonly<Record<string, unknown>> }

/** Returns the backends to measure. Throws Refusal for an unknown name or a missing module. */
export function sourcesOf (asked: readonly Asked[]): Source[] {
  const named = asked.map((one) => ({ ...sourceOf(one), wanted: one.name ?? one.backend ?? nameOf(one.module!) }))
  const taken = new Map<string, number>()
  return named.map(({ wanted, ...source }) => {
    const times = (taken.get(wanted) ?? 0) + 1
    taken.set(wanted, times)
    return { ...source, name: times === 1 ? wanted : `${wanted} (${times})` }
  })
}

function nameOf (module: string): string {
  return basename(module).replace(/\.\w+$/, '')
}

function sourceOf ({ backend, module, options, name }: Asked): Omit<Source, 'name'> {
  if (module !== undefined) {
    const source = { backend: name ?? nameOf(module), options, moduleUrl: urlOf(module) }
    if (builtIns().names().includes(source.backend)) {
      throw new Refusal(`'${source.backend}' is the name of a built-in backend; give the module another name with --name`)
    }
    return { stays: true, at: () => source }
  }
  const known = builtIns().names()
  if (!known.includes(backend!)) {
    throw new Refusal(`there is no backend '${backend}'; known are ${known.join(', ')}. For your own, use --module ./my-backend.js`)
  }
  const choice = { backend: backend!, options: options as Readonly<Record<string, unknown>> }
  return { stays: staysAt(choice), at: (folder) => ({ backend: choice.backend, options: placed(choice, folder).options ?? {} }) }
}

function urlOf (module: string): string {
  const path = resolve(module)
  if (existsSync(path)) return pathToFileURL(path).href
  try {
    if (!/^[./]/.test(module)) return pathToFileURL(createRequire(join(process.cwd(), 'any.js')).resolve(module)).href
  } catch {
    // The module is neither a file nor a package. The error is thrown below.
  }
  throw new Refusal(`there is no module '${module}': no file ${path}`)
}

/** Puts the data of a backend, and of its tiers, into the folder, unless its options name a place. */
function placed (choice: Choice, folder: string, number = ''): Choice {
  const { backend, options = {} } = choice
  const place = PLACES[backend]
  if (place !== undefined && [place.option, ...place.others].every((name) => options[name] === undefined)) {
    return { backend, options: { ...options, [place.option]: join(folder, `${number}${place.path}`) } }
  }
  if (!Array.isArray(options.tiers)) return choice
  const tiers = (options.tiers as Choice[]).map((tier, at) =>
    typeof tier?.backend === 'string' ? placed(tier, folder, `${number}${at}-`) : tier)
  return { backend, options: { ...options, tiers } }
}

/** Returns whether the backend keeps data anywhere except in memory and in the private folder. */
function staysAt ({ backend, options = {} }: Choice): boolean {
  if (backend === 'memory') return false
  if (Array.isArray(options.tiers)) return (options.tiers as Choice[]).some((tier) => staysAt(tier ?? {}))
  const place = PLACES[backend]
  return place === undefined || [place.option, ...place.others].some((name) => options[name] !== undefined && options[name] !== ':memory:')
}
