// The package as users get it: packed, unpacked into a folder of its own, with its dependencies beside it.
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { root } from './sources.js'

export interface Manifest {
  readonly name: string
  readonly bin: Record<string, string>
  readonly scripts: Record<string, string>
  readonly dependencies: Record<string, string>
}

export interface Packed {
  /** A folder whose node_modules contains the package. */
  readonly folder: string
  readonly manifest: Manifest
  /** The path of the packed file. */
  readonly tarball: string
  /** Paths in the package. */
  readonly files: string[]
  /** Writes a file into the folder. */
  write (path: string, text: string): void
  /** Runs Node.js there. */
  node (...args: string[]): { readonly exitCode: number | null, readonly output: string }
  remove (): void
}

interface Pack {
  readonly filename: string
  readonly name: string
  readonly files: ReadonlyArray<{ readonly path: string }>
}

const REPORT = 'pack.json'

const NOT_PACKED = /\.map$|\/dist\/(?:examples|test\/(?!kit)[^/]+|benchmarks\/(?!core|cache-bench)[^/]+)$|\/docs\/api$/

/** Packs the package into a folder as `npm pack` would, together with npm's report, from a copy of the build. */
export function pack (folder: string): void {
  const copy = join(folder, 'copy')
  for (const path of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'docs', 'dist']) {
    cpSync(join(root, path), join(copy, path), { recursive: true, filter: (path) => !NOT_PACKED.test(path) })
  }
  execFileSync(process.execPath, [join(root, 'scripts', 'lean.js'), join(copy, 'dist')], { stdio: 'ignore' })
  const npm = process.env.npm_execpath
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const report = npm?.endsWith('.js') === true
    ? execFileSync(process.execPath, [npm, ...args], { cwd: copy, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    : execFileSync('npm', args, { cwd: copy, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  writeFileSync(join(folder, REPORT), report)
}

/**
 * Packs the package, unless `PACKED` names a folder with a pack for several tests, and unpacks it. `beside` names what the user has
 * installed; it is linked from the project's node_modules, so that nothing is downloaded. A package that is needed but not listed as a
 * dependency is missing.
 */
export function packed (beside: readonly string[]): Packed {
  const folder = mkdtempSync(join(tmpdir(), 'packed-'))
  const { PACKED: from = folder } = process.env
  if (from === folder) pack(folder)
  const [{ filename, name, files }] = JSON.parse(readFileSync(join(from, REPORT), 'utf8')) as [Pack]
  const home = join(folder, 'node_modules', name)
  mkdirSync(home, { recursive: true })
  execFileSync('tar', ['-xzf', join(from, filename), '-C', home, '--strip-components=1'])
  const manifest = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as Manifest
  // As npm does when it links them.
  for (const program of Object.values(manifest.bin)) chmodSync(join(home, program), 0o755)
  for (const dependency of [...Object.keys(manifest.dependencies), ...beside]) {
    const link = join(folder, 'node_modules', dependency)
    mkdirSync(dirname(link), { recursive: true })
    // Who installs TypeScript today gets version 7.
    symlinkSync(join(root, 'node_modules', dependency === 'typescript' ? 'typescript-7' : dependency), link, 'junction')
  }
  return {
    folder,
    manifest,
    tarball: join(from, filename),
    files: files.map(({ path }) => path),
    write (path, text) { writeFileSync(join(folder, path), text) },
    node (...args) {
      // Started through a shell, because tap adds its loaders to the environment of spawned processes. Users have no loaders.
      const { status, stdout, stderr } = spawnSync('sh', ['-c', 'unset NODE_OPTIONS; exec "$0" "$@"', process.execPath, ...args],
        { cwd: folder, encoding: 'utf8' })
      return { exitCode: status, output: stdout + stderr }
    },
    remove () { rmSync(folder, { recursive: true, force: true }) }
  }
}
