// The installation of a reader of the docs: the packed package, the packages that the pages name, and their programs.
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePort } from '../../benchmarks/backends/free-port.js'
import { TINY } from './cache-bench.js'
import { packed } from './packed.js'
import { runPage, type PageOutcome } from './page-run.js'
import { isFull } from './size.js'
import type { Source } from './sources.js'
import type { Known } from './page-rules.js'

/** The packages that the pages tell readers to install. */
const INSTALLED = [
  'fastify', '@fastify/cookie', '@fastify/http-proxy', '@fastify/session', '@fastify/type-provider-typebox', 'typebox', 'typescript',
  '@types/node', 'better-sqlite3', '@types/better-sqlite3', '@fastify/redis', 'memcache-client', 'undici', 'unstorage'
]

export interface Reader {
  /** Runs the blocks of a page. Ports that it names are replaced by free ones, and measurements are short. */
  follow (page: Source): Promise<PageOutcome>
  /** What exists, for commands that are not run. */
  readonly known: Known
}

/** Packs the package and installs it for a reader, until `t` ends. */
export function reader (t: Test): Reader {
  // Each command has a timeout of its own.
  t.setTimeout(300_000)
  const { folder, manifest, remove } = packed(INSTALLED)
  t.teardown(remove)
  const packages = [manifest.name, ...Object.keys(manifest.dependencies), ...INSTALLED]
  const known: Known = {
    scripts: Object.keys(manifest.scripts), programs: packages.flatMap((name) => linkPrograms(folder, name)), packages
  }
  return {
    known, follow: async (page) => await runPage({ path: page.path, text: withShortRuns(await withFreePorts(page.text)) }, folder, known)
  }
}

function linkPrograms (folder: string, name: string): string[] {
  const home = join(folder, 'node_modules', name)
  const { bin = {} } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as { bin?: string | Record<string, string> }
  const programs = typeof bin === 'string' ? { [name]: bin } : bin
  const binaries = join(folder, 'node_modules', '.bin')
  mkdirSync(binaries, { recursive: true })
  for (const [program, path] of Object.entries(programs)) {
    if (readdirSync(binaries).includes(program)) continue
    // As npm does when it installs.
    chmodSync(join(home, path), 0o755)
    symlinkSync(join(home, path), join(binaries, program))
  }
  return Object.keys(programs)
}

/** In reduced size, cache-bench measures as briefly as it can. */
function withShortRuns (text: string): string {
  return isFull ? text : text.replaceAll(/^npx cache-bench(?= )/gm, `npx cache-bench ${TINY.join(' ')}`)
}

async function withFreePorts (text: string): Promise<string> {
  const ports = new Set(Array.from(text.matchAll(/\b(?:127\.0\.0\.1:|port: )(\d{4})\b/g), ([, port]) => port!))
  let rewritten = text
  for (const port of ports) {
    rewritten = rewritten.replaceAll(new RegExp(`\\b(127\\.0\\.0\\.1:|port: )${port}\\b`, 'g'), `$1${await freePort()}`)
  }
  return rewritten
}
